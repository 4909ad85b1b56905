#pragma once

#include <string_view>
#include <vector>

#include "core/base/ini_file.h"
#include "core/cluster/cluster.h"

namespace meshattn {

// Values of several words in the file of a cluster or profile. All functions throw InvalidInput with the location of
// the line and what would be right.

/// "forward full bf16 q 4096 kv 4096 heads 64/8 dim 128 671 TFLOPs"; "batch 2" before "q" stands for two batch items.
[[nodiscard]] AttentionPoint parse_point(const IniLine& line);

/// "forward 2.1": the idle tail of a kernel in waves. At most one line per pass.
void add_tail(const IniLine& line, GpuProfile& gpu);

/// "1000000 bytes 15.3 us": the start-ups of a section, ascending by size. At most one line per size. A setting of the
/// section's startup_us changes those of the file in proportion.
[[nodiscard]] std::vector<StartupPoint> startups_of(const IniFile& file, std::string_view section);

}  // namespace meshattn
