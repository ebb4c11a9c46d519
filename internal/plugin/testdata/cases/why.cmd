why app -n team {cluster}
why app -n team {cluster} -o json
why gone -n team {cluster}
