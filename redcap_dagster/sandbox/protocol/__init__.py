"""REDCap's protocol: parameters and data as PHP reads them, and the formats of responses.

The ground of the sandbox, beside `sandbox.logic`.
"""
