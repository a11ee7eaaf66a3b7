"""The deployed whole on this machine: functions, schedule, queue and indexer, ended together."""
