"""Networks: functions with weights, without a loss or data."""
