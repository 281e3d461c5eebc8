#pragma once
#include "emulated_xrt.h"
