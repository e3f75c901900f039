"""What stands in the door: who may ask, how much, under which name, how long."""
