"""What is trained on and judged on: crops, blends, splits by person and tool."""
