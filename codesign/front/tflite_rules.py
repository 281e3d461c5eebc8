"""Which operators of TFLite are read, in words: the reader checks files by this table, docs/operators.md shows it."""

TFLITE_OPERATORS: dict[str, str] = {
    "ADD": "two maps of one shape; fused activation NONE, RELU, RELU6 or RELU_N1_TO_1",
    "ARG_MAX": "the last operator only: left to the host",
    "AVERAGE_POOL_2D": "any window, strides and padding",
    "CONCATENATION": "maps along their channels",
    "CONV_2D": "any kernel, strides and padding; weights of 8 bits, symmetric, per tensor or per channel",
    "DEPTHWISE_CONV_2D": "as CONV_2D; any depth multiplier",
    "DEQUANTIZE": "at the end",
    "FULLY_CONNECTED": "constant weights of 8 bits",
    "MAX_POOL_2D": "any window, strides and padding",
    "MEAN": "over rows and columns",
    "PAD": "zeros around rows and columns, before a convolution",
    "QUANTIZE": "from real values, or to another scale",
    "RELU": "any place",
    "RELU6": "any place",
    "RESHAPE": "before a fully connected layer, or where only 1x1 maps flow",
    "RESIZE_NEAREST_NEIGHBOR": "whole factors, neither aligned corners nor half pixels",
    "SOFTMAX": "the last operator only: left to the host",
    "SQUEEZE": "as RESHAPE",
    "SUB": "as ADD",
}
