"""How good a restored picture is: PSNR per plane, and the report every command writes."""
