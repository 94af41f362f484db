"""One run, from the planned jobs to the recorded ones: plan, dispatcher, recorder, drivers, executors."""
