#include "core/cluster/cluster_file.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <sstream>

#include "core/base/enum_names.h"
#include "core/base/error.h"
#include "core/base/ini_file.h"
#include "core/cluster/measurement_lines.h"

namespace meshattn {

namespace {

using Kind = IniKey::Kind;

constexpr IniKey kClusterKeys[] = {
    {"cluster", "gpu", Kind::kText},                      // a GPU profile: name or path
    {"node", "gpus", Kind::kCount},                       // GPUs in one node
    {"node", "gpus_per_nic", Kind::kCount, false},        // GPUs that share one NIC; 1 if not said
    {"node", "gpus_per_switch", Kind::kCount, false},     // GPUs under one PCIe switch; all if not said
    {"node", "processors", Kind::kPositive, false},       // that compute for all GPUs of a node; one each if not said
    {"node", "shared_GBps", Kind::kPositive, false},      // of all messages within a node together, if there is a limit
    {"link", "bandwidth_GBps", Kind::kPositive},          // of one GPU's port inside the node, each direction
    {"link", "efficiency", Kind::kFraction},              // of it that a transfer reaches
    {"link", "busy_efficiency", Kind::kFraction, false},  // of what else it reaches, while the GPU computes
    {"link", "compute_efficiency", Kind::kFraction, false},  // of compute, while bytes flow through the GPU's port
    {"link", "startup_us", Kind::kNonNegative},              // of one message inside the node
    {"link", "startup", Kind::kMeasurement, false},          // "1000000 bytes 15.3 us": of messages of that size
    {"link", "sms", Kind::kCountOrZero, false},            // SMs that an exchange takes from compute; none if not said
    {"switch", "bandwidth_GBps", Kind::kPositive, false},  // between the switches of a node, each direction
    {"switch", "efficiency", Kind::kFraction, false},      //
    {"root", "gpus", Kind::kCount, false},                 // on the ports of one CPU
    {"root", "many_GBps", Kind::kPositive, false},         // that it passes on of many messages at once, together
    {"nic", "bandwidth_GBps", Kind::kPositive, false},     // of one NIC, each direction
    {"nic", "efficiency", Kind::kFraction, false},         //
    {"nic", "startup_us", Kind::kNonNegative, false},      // of one message between nodes
    {"nic", "startup", Kind::kMeasurement, false},         // likewise
    {"nic", "sms", Kind::kCountOrZero, false},             // likewise
    {"fabric", "kind", Kind::kText, false},                // non-blocking (if not said), fat-tree, rail
    {"fabric", "nodes_per_leaf", Kind::kCount, false},     //
    {"fabric", "oversubscription", Kind::kPositive, false},  // from 1
    {"fabric", "paths", Kind::kCount, false},                // of messages over the spine; spread evenly if not said
};

constexpr IniKey kGpuKeys[] = {
    {"gpu", "memory_GB", Kind::kPositive},
    {"gpu", "attention_TFLOPs", Kind::kPositive, false},       // one rate for everything, in place of points
    {"gpu", "combine", Kind::kText, false},                    // "free", in place of the next two
    {"gpu", "hbm_GBps", Kind::kPositive, false},               // data sheet
    {"gpu", "combine_efficiency", Kind::kFraction, false},     // of hbm_GBps while merging partials, read + written
    {"gpu", "accumulate_efficiency", Kind::kFraction, false},  // likewise while summing gradients; as the last
    {"gpu", "sms", Kind::kCount, false},                 // streaming multiprocessors; no tails of kernels if not said
    {"gpu", "attention_scale", Kind::kPositive, false},  // of all rates of attention; 1 if not said
    {"gpu", "launch_us", Kind::kNonNegative},            // start of one compute op
    {"attention", "point", Kind::kMeasurement, false},
    {"attention", "tail", Kind::kMeasurement, false},  // waves that a kernel's end idles; a half if not said
};

constexpr IniKey kFrameworkKeys[] = {
    {"framework", "merge_bytes", Kind::kNonNegative, false},     // each: see Framework
    {"framework", "gradient_bytes", Kind::kNonNegative, false},  //
    {"framework", "part_bytes", Kind::kNonNegative, false},      //
    {"framework", "output_bytes", Kind::kNonNegative, false},    //
    {"framework", "merge_kernels", Kind::kCount, false},         //
    {"framework", "gradient_kernels", Kind::kCount, false},      //
    {"framework", "host_us", Kind::kNonNegative, false},         //
    {"framework", "layout_GBps", Kind::kPositive, false},        //
    {"framework", "exchanges", Kind::kText, false},              // early (if not said), late
};

constexpr EnumNames<Fabric::Kind, 3> kFabrics{{{Fabric::Kind::kNonBlocking, "non-blocking"},
                                               {Fabric::Kind::kFatTree, "fat-tree"},
                                               {Fabric::Kind::kRail, "rail"}}};
constexpr EnumNames<bool, 2> kLate{{{false, "early"}, {true, "late"}}};

/// What a key that takes one of a few words says.
template <typename Enum, std::size_t N>
Enum word(const IniFile& file, const char* section, const char* key, const EnumNames<Enum, N>& names) {
  const IniLine& line = file.line(section, key);
  return with_location(line.where,
                       [&] { return names.parse(fmt::format("{} of {}", key, section), printable(line.value)); });
}

Framework framework_of(const IniFile& file) {
  Framework framework;
  const auto read = [&](const char* key, double& into, double unit) {
    if (file.has("framework", key)) into = file.number("framework", key) * unit;
  };
  read("merge_bytes", framework.merge_bytes, 1);
  read("gradient_bytes", framework.gradient_bytes, 1);
  read("part_bytes", framework.part_bytes, 1);
  read("output_bytes", framework.output_bytes, 1);
  if (file.has("framework", "merge_kernels")) framework.merge_kernels = file.count("framework", "merge_kernels");
  if (file.has("framework", "gradient_kernels"))
    framework.gradient_kernels = file.count("framework", "gradient_kernels");
  read("host_us", framework.host_s, 1e-6);
  read("layout_GBps", framework.layout_bytes_per_s, 1e9);
  if (file.has("framework", "exchanges")) framework.late_exchanges = word(file, "framework", "exchanges", kLate);
  return framework;
}

/// All that predictions stand on, but for points of kernels, which the profile has; of words those with a source.
void add_figures(const IniFile& file, Cluster& cluster) {
  for (const IniLine& line : file.lines()) {
    const IniKey& key = *line.key;
    if (key.section == "cluster" || key.name == "point" || (key.kind == Kind::kText && line.source.empty())) continue;
    if (key.kind == Kind::kMeasurement)
      cluster.figures[fmt::format("{}.{} {}", key.section, key.name, line.value)] = {"", line.source, 0};
    else
      cluster.figures[fmt::format("{}.{}", key.section, key.name)] = {line.value, line.source, line.uncertainty};
  }
}

/// How fast merging partials goes: part of the memory's bandwidth, or free.
double combine_rate(const IniFile& file, const std::string& name) {
  if (file.has("gpu", "combine")) {
    const IniLine& line = file.line("gpu", "combine");
    if (line.value != "free")
      throw InvalidInput(fmt::format("{}: combine '{}': possible is free; else give hbm_GBps and combine_efficiency",
                                     line.where, printable(line.value)));
    return std::numeric_limits<double>::infinity();
  }
  if (!file.has("gpu", "hbm_GBps") || !file.has("gpu", "combine_efficiency"))
    throw InvalidInput(fmt::format("{}: no 'hbm_GBps' and 'combine_efficiency' in [gpu] (or 'combine = free')", name));
  return file.number("gpu", "hbm_GBps") * 1e9 * file.number("gpu", "combine_efficiency");
}

GpuProfile gpu_of(const IniFile& file, const std::filesystem::path& path) {
  GpuProfile gpu;
  gpu.name = path.stem().string();
  gpu.memory_bytes = file.number("gpu", "memory_GB") * 1e9;
  gpu.combine_bytes_per_s = gpu.accumulate_bytes_per_s = combine_rate(file, path.string());
  if (file.has("gpu", "accumulate_efficiency") && file.has("gpu", "combine"))
    throw InvalidInput(fmt::format("{}: 'accumulate_efficiency' where merging is free",
                                   file.line("gpu", "accumulate_efficiency").where));
  if (file.has("gpu", "accumulate_efficiency"))
    gpu.accumulate_bytes_per_s = file.number("gpu", "hbm_GBps") * 1e9 * file.number("gpu", "accumulate_efficiency");
  if (file.has("gpu", "sms")) gpu.sms = file.count("gpu", "sms");
  if (file.has("gpu", "attention_scale")) gpu.attention_scale = file.number("gpu", "attention_scale");
  gpu.launch_s = file.number("gpu", "launch_us") * 1e-6;
  const bool points = file.has("attention", "point");
  const bool flat = file.has("gpu", "attention_TFLOPs");
  const bool rate_was_set = flat && file.line("gpu", "attention_TFLOPs").by_setting;  // takes the place of the points
  if (flat == points && !rate_was_set)
    throw InvalidInput(fmt::format("{}: {} of 'attention_TFLOPs' in [gpu] and points in [attention]: give one of them",
                                   path.string(), flat ? "both" : "neither"));
  if (flat) gpu.attention_flops_per_s = file.number("gpu", "attention_TFLOPs") * 1e12;
  for (const IniLine& line : file.lines()) {
    if (line.key->name == "point" && !flat) gpu.attention.push_back(parse_point(line));
    if (line.key->name == "tail") add_tail(line, gpu);
  }
  return gpu;
}

double bandwidth(const IniFile& file, std::string_view section) {
  return file.number(section, "bandwidth_GBps") * 1e9 * file.number(section, "efficiency");
}

Node node_of(const IniFile& file, const std::string& name) {
  Node node;
  node.gpus = file.count("node", "gpus");
  node.link_bytes_per_s = bandwidth(file, "link");
  node.link_startup_s = file.number("link", "startup_us") * 1e-6;
  node.link_startups = startups_of(file, "link");
  if (file.has("link", "sms")) node.link_sms = file.count("link", "sms");
  if (file.has("link", "compute_efficiency"))
    node.compute_efficiency_during_transfers = file.number("link", "compute_efficiency");
  if (file.has("link", "busy_efficiency")) node.link_efficiency_during_compute = file.number("link", "busy_efficiency");
  if (file.has("node", "processors")) node.processors = file.number("node", "processors");
  if (file.has("node", "shared_GBps")) node.shared_bytes_per_s = file.number("node", "shared_GBps") * 1e9;
  if (file.has("node", "gpus_per_nic")) node.gpus_per_nic = file.count("node", "gpus_per_nic");
  if (file.has("node", "gpus_per_switch") != file.has("switch"))
    throw InvalidInput(fmt::format("{}: 'gpus_per_switch' in [node] and a section [switch] go together", name));
  if (file.has("switch")) {
    node.gpus_per_switch = file.count("node", "gpus_per_switch");
    node.switch_bytes_per_s = bandwidth(file, "switch");
  }
  if (file.has("root")) {
    node.gpus_per_root = file.count("root", "gpus");
    node.root_bytes_per_s = file.number("root", "many_GBps") * 1e9;
    if (node.gpus % node.gpus_per_root != 0)
      throw InvalidInput(fmt::format("{}: {} GPUs on a root complex of {} in a node: must divide them",
                                     file.line("root", "gpus").where, node.gpus_per_root, node.gpus));
  }
  if (file.has("nic")) {
    node.nic_bytes_per_s = bandwidth(file, "nic");
    node.nic_startup_s = file.number("nic", "startup_us") * 1e-6;
    node.nic_startups = startups_of(file, "nic");
    if (file.has("nic", "sms")) node.nic_sms = file.count("nic", "sms");
  }
  for (const char* key : {"gpus_per_nic", "gpus_per_switch"})
    if (file.has("node", key) && node.gpus % file.count("node", key) != 0)
      throw InvalidInput(fmt::format("{}: {} {} of {} GPUs: must divide them", file.line("node", key).where, key,
                                     file.count("node", key), node.gpus));
  return node;
}

Fabric fabric_of(const IniFile& file, const std::string& name) {
  Fabric fabric;
  bool kind_was_set = false;
  if (file.has("fabric", "kind")) {
    kind_was_set = file.line("fabric", "kind").by_setting;
    fabric.kind = word(file, "fabric", "kind", kFabrics);
  }
  if (fabric.kind == Fabric::Kind::kNonBlocking) {
    for (const char* key : {"nodes_per_leaf", "oversubscription", "paths"})
      if (file.has("fabric", key) && !(kind_was_set && !file.line("fabric", key).by_setting))
        throw InvalidInput(fmt::format("{}: '{}' in a non-blocking fabric: only fat-tree and rail have it",
                                       file.line("fabric", key).where, key));
    return fabric;
  }
  if (!file.has("nic")) throw InvalidInput(fmt::format("{}: a fabric without a section [nic]", name));
  fabric.nodes_per_leaf = file.count("fabric", "nodes_per_leaf");
  fabric.oversubscription = file.number("fabric", "oversubscription");
  constexpr int kMostPaths = 1024;
  if (file.has("fabric", "paths")) fabric.paths = file.count("fabric", "paths");
  if (fabric.paths > kMostPaths)
    throw InvalidInput(
        fmt::format("{}: paths {} must be from 1 to {}", file.line("fabric", "paths").where, fabric.paths, kMostPaths));
  if (fabric.oversubscription < 1)
    throw InvalidInput(fmt::format("{}: oversubscription {} must be from 1",
                                   file.line("fabric", "oversubscription").where, fabric.oversubscription));
  return fabric;
}

}  // namespace

Cluster read_cluster(const std::string& name_or_path, const std::filesystem::path& topologies,
                     std::span<const std::string> settings, const std::string& framework) {
  std::vector<IniKey> all(std::begin(kClusterKeys), std::end(kClusterKeys));
  all.insert(all.end(), std::begin(kGpuKeys), std::end(kGpuKeys));
  all.insert(all.end(), std::begin(kFrameworkKeys), std::end(kFrameworkKeys));
  const auto apply = [&](IniFile& file, std::span<const IniKey> keys) {
    for (const std::string& setting : settings) {
      const IniKey& key = key_of_setting(setting, all);
      const auto same = [&](const IniKey& k) { return k.section == key.section && k.name == key.name; };
      if (std::any_of(keys.begin(), keys.end(), same)) file.set(setting);
    }
    file.require_all();
  };

  const std::filesystem::path path = find_ini("cluster", name_or_path, topologies / "clusters");
  IniFile file = IniFile::read(path, kClusterKeys);
  apply(file, kClusterKeys);
  const IniLine& gpu = file.line("cluster", "gpu");
  const std::filesystem::path gpu_path =
      with_location(gpu.where, [&] { return find_ini("GPU profile", gpu.value, topologies / "gpus"); });
  IniFile gpu_file = IniFile::read(gpu_path, kGpuKeys);
  apply(gpu_file, kGpuKeys);
  IniFile framework_file = IniFile::parse("", "framework", kFrameworkKeys);
  if (!framework.empty())
    framework_file = IniFile::read(find_ini("framework", framework, topologies / "frameworks"), kFrameworkKeys);
  apply(framework_file, kFrameworkKeys);
  Cluster cluster;
  cluster.name = path.stem().string();
  cluster.gpu = gpu_of(gpu_file, gpu_path);
  cluster.gpu.framework = framework_of(framework_file);
  cluster.node = node_of(file, path.string());
  for (int sms : {cluster.node.link_sms, cluster.node.nic_sms})
    if (cluster.gpu.sms > 0 && sms >= cluster.gpu.sms)
      throw InvalidInput(fmt::format("{}: exchanges take {} SMs of the {} that {} has: some must be left to compute",
                                     path.string(), sms, cluster.gpu.sms, cluster.gpu.name));
  cluster.fabric = fabric_of(file, path.string());
  add_figures(file, cluster);
  add_figures(gpu_file, cluster);
  add_figures(framework_file, cluster);
  return cluster;
}

std::vector<std::string> cluster_names(const std::filesystem::path& topologies) {
  return ini_names(topologies / "clusters");
}

std::vector<std::string> gpu_names(const std::filesystem::path& topologies) { return ini_names(topologies / "gpus"); }

}  // namespace meshattn
