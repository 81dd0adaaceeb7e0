"""Off-policy generators (SAC, TD3, DQN, ...): replay buffers whose rewards are computed at sampling time."""
