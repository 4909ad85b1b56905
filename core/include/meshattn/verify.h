#pragma once

#include "core/schedule/passes/verify.h"  // IWYU pragma: export
