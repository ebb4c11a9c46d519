package agent

func (n *node) check() []Finding { return nil }
