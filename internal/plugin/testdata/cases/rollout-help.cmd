rollout
