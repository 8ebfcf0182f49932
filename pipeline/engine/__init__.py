"""Running networks on pictures: devices and precision, and one interface for networks and ordinary resampling."""
