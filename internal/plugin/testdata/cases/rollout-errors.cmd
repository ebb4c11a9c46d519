rollout stop
rollout pause node-1
rollout undo --to-revision=last
rollout history -o xml
rollout status -o json --watch
diff -f closed.yaml --revision=1
__complete rollout p
__complete rollout undo --dry-run c
__complete rollout status -o j
