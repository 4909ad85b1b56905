#include "core/cluster/gpu_file.h"

#include <spdlog/fmt/fmt.h>

#include <limits>
#include <string>

#include "core/base/enum_names.h"
#include "core/base/error.h"
#include "core/cluster/measurement_lines.h"

namespace meshattn {

namespace {

using Kind = IniKey::Kind;

constexpr IniKey kGpuKeys[] = {
    {"gpu", "memory_GB", Kind::kPositive},                     // memory of the GPU
    {"gpu", "attention_TFLOPs", Kind::kPositive, false},       // one rate for all attention kernels, in place of points
    {"gpu", "combine", Kind::kText, false},                    // "free", in place of the next three
    {"gpu", "hbm_GBps", Kind::kPositive, false},               // memory bandwidth of the data sheet
    {"gpu", "combine_efficiency", Kind::kFraction, false},     // fraction of it when merging partials, read + written
    {"gpu", "accumulate_efficiency", Kind::kFraction, false},  // same when summing gradients; combine's if not given
    {"gpu", "sms", Kind::kCount, false},                 // streaming multiprocessors; no kernel tails if not given
    {"gpu", "attention_scale", Kind::kPositive, false},  // factor on all attention rates; 1 if not given
    {"gpu", "launch_us", Kind::kNonNegative},            // start of one compute op
    {"attention", "point", Kind::kMeasurement, false},   // rate of one kernel: see parse_point
    {"attention", "tail", Kind::kMeasurement, false},    // idle tail of kernels: see add_tail; half a wave if not given
};

// Each key: see Framework.
constexpr IniKey kFrameworkKeys[] = {
    {"framework", "merge_bytes", Kind::kNonNegative, false}, {"framework", "gradient_bytes", Kind::kNonNegative, false},
    {"framework", "part_bytes", Kind::kNonNegative, false},  {"framework", "output_bytes", Kind::kNonNegative, false},
    {"framework", "merge_kernels", Kind::kCount, false},     {"framework", "gradient_kernels", Kind::kCount, false},
    {"framework", "host_us", Kind::kNonNegative, false},     {"framework", "layout_GBps", Kind::kPositive, false},
    {"framework", "exchanges", Kind::kText, false},  // early (if not given) or late
};

constexpr EnumNames<bool, 2> kLateExchanges{{{false, "early"}, {true, "late"}}};

/// Bytes per second of merging partials: a fraction of the memory's bandwidth, or infinite.
double combine_rate(const IniFile& file, const std::string& name) {
  if (file.has("gpu", "combine")) {
    const IniLine& line = file.line("gpu", "combine");
    if (line.value != "free")
      throw InvalidInput(fmt::format("{}: combine '{}': must be free; else give hbm_GBps and combine_efficiency",
                                     line.where, printable(line.value)));
    return std::numeric_limits<double>::infinity();
  }
  if (!file.has("gpu", "hbm_GBps") || !file.has("gpu", "combine_efficiency"))
    throw InvalidInput(fmt::format("{}: no 'hbm_GBps' and 'combine_efficiency' in [gpu] (or 'combine = free')", name));
  return file.number("gpu", "hbm_GBps") * 1e9 * file.number("gpu", "combine_efficiency");
}

double accumulate_rate(const IniFile& file, double combine_bytes_per_s) {
  if (!file.has("gpu", "accumulate_efficiency")) return combine_bytes_per_s;
  if (file.has("gpu", "combine"))
    throw InvalidInput(fmt::format("{}: 'accumulate_efficiency' where merging is free",
                                   file.line("gpu", "accumulate_efficiency").where));
  return file.number("gpu", "hbm_GBps") * 1e9 * file.number("gpu", "accumulate_efficiency");
}

/// Reads one rate or points. A rate that a setting gives replaces the points.
void read_attention(const IniFile& file, const std::string& name, GpuProfile& gpu) {
  const bool points = file.has("attention", "point");
  const bool flat = file.has("gpu", "attention_TFLOPs");
  const bool rate_was_set = flat && file.line("gpu", "attention_TFLOPs").by_setting;
  if (flat == points && !rate_was_set)
    throw InvalidInput(fmt::format("{}: {} of 'attention_TFLOPs' in [gpu] and points in [attention]: give one of them",
                                   name, flat ? "both" : "neither"));
  if (flat) gpu.attention_flops_per_s = file.number("gpu", "attention_TFLOPs") * 1e12;
  for (const IniLine& line : file.lines()) {
    if (line.key->name == "point" && !flat) gpu.attention.push_back(parse_point(line));
    if (line.key->name == "tail") add_tail(line, gpu);
  }
}

}  // namespace

std::span<const IniKey> gpu_keys() { return kGpuKeys; }
std::span<const IniKey> framework_keys() { return kFrameworkKeys; }

GpuProfile gpu_of(const IniFile& file, const std::filesystem::path& path) {
  GpuProfile gpu;
  gpu.name = path.stem().string();
  gpu.memory_bytes = file.number("gpu", "memory_GB") * 1e9;
  gpu.combine_bytes_per_s = combine_rate(file, path.string());
  gpu.accumulate_bytes_per_s = accumulate_rate(file, gpu.combine_bytes_per_s);
  gpu.sms = file.count_or("gpu", "sms", gpu.sms);
  gpu.attention_scale = file.number_or("gpu", "attention_scale", gpu.attention_scale);
  gpu.launch_s = file.number("gpu", "launch_us") * 1e-6;
  read_attention(file, path.string(), gpu);
  return gpu;
}

Framework framework_of(const IniFile& file) {
  Framework f;
  const std::string_view section = "framework";
  f.merge_bytes = file.number_or(section, "merge_bytes", f.merge_bytes);
  f.gradient_bytes = file.number_or(section, "gradient_bytes", f.gradient_bytes);
  f.part_bytes = file.number_or(section, "part_bytes", f.part_bytes);
  f.output_bytes = file.number_or(section, "output_bytes", f.output_bytes);
  f.merge_kernels = file.count_or(section, "merge_kernels", f.merge_kernels);
  f.gradient_kernels = file.count_or(section, "gradient_kernels", f.gradient_kernels);
  if (file.has(section, "host_us")) f.host_s = file.number(section, "host_us") * 1e-6;
  if (file.has(section, "layout_GBps")) f.layout_bytes_per_s = file.number(section, "layout_GBps") * 1e9;
  f.late_exchanges = file.name_or(section, "exchanges", kLateExchanges, f.late_exchanges);
  return f;
}

}  // namespace meshattn
