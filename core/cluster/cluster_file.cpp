#include "core/cluster/cluster_file.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/base/enum_names.h"
#include "core/base/error.h"
#include "core/cluster/gpu_file.h"
#include "core/cluster/measurement_lines.h"

namespace meshattn {

namespace {

using Kind = IniKey::Kind;

constexpr IniKey kClusterKeys[] = {
    {"cluster", "gpu", Kind::kText},                      // GPU profile: name or path
    {"node", "gpus", Kind::kCount},                       // GPUs of a node
    {"node", "gpus_per_nic", Kind::kCount, false},        // GPUs that share a NIC; 1 if not given
    {"node", "gpus_per_switch", Kind::kCount, false},     // GPUs under one PCIe switch; all if not given
    {"node", "processors", Kind::kPositive, false},       // processors that all GPUs share; each its own if not given
    {"node", "shared_GBps", Kind::kPositive, false},      // all messages in a node together; no limit if not given
    {"link", "bandwidth_GBps", Kind::kPositive},          // port of a GPU, each direction
    {"link", "efficiency", Kind::kFraction},              // fraction of it that a transfer reaches
    {"link", "busy_efficiency", Kind::kFraction, false},  // fraction of that left while the GPU computes
    {"link", "compute_efficiency", Kind::kFraction,
     false},                                               // fraction of compute left while bytes flow through the port
    {"link", "startup_us", Kind::kNonNegative},            // start-up of a message in the node
    {"link", "startup", Kind::kMeasurement, false},        // "1000000 bytes 15.3 us": start-up of messages of that size
    {"link", "sms", Kind::kCountOrZero, false},            // SMs that an exchange takes from compute; 0 if not given
    {"switch", "bandwidth_GBps", Kind::kPositive, false},  // between the switches of a node, each direction
    {"switch", "efficiency", Kind::kFraction, false},      // fraction of it that transfers reach
    {"root", "gpus", Kind::kCount, false},                 // GPUs under one CPU root complex
    {"root", "many_GBps", Kind::kPositive, false},         // root complex, both directions, if many pairs of GPUs talk
    {"nic", "bandwidth_GBps", Kind::kPositive, false},     // NIC, each direction
    {"nic", "efficiency", Kind::kFraction, false},         // fraction of it that a transfer reaches
    {"nic", "startup_us", Kind::kNonNegative, false},      // start-up of a message between nodes
    {"nic", "startup", Kind::kMeasurement, false},         // start-up of messages of a size
    {"nic", "sms", Kind::kCountOrZero, false},             // SMs that an exchange takes from compute; 0 if not given
    {"fabric", "kind", Kind::kText, false},                // non-blocking (if not given), fat-tree or rail
    {"fabric", "nodes_per_leaf", Kind::kCount, false},     // see Fabric
    {"fabric", "oversubscription", Kind::kPositive, false},  // from 1
    {"fabric", "paths", Kind::kCount, false},  // paths over the spines; messages spread evenly if not given
};

constexpr EnumNames<Fabric::Kind, 3> kFabrics{{{Fabric::Kind::kNonBlocking, "non-blocking"},
                                               {Fabric::Kind::kFatTree, "fat-tree"},
                                               {Fabric::Kind::kRail, "rail"}}};

/// Adds the figures of a file: all but attention points, which the profile has, and text without a source.
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

double bandwidth(const IniFile& file, std::string_view section) {
  return file.number(section, "bandwidth_GBps") * 1e9 * file.number(section, "efficiency");
}

/// Reads what joins GPUs beyond their ports: switches, root complexes, a limit of all messages.
void read_switches(const IniFile& file, const std::string& name, Node& node) {
  if (file.has("node", "shared_GBps")) node.shared_bytes_per_s = file.number("node", "shared_GBps") * 1e9;
  if (file.has("node", "gpus_per_switch") != file.has("switch"))
    throw InvalidInput(fmt::format("{}: 'gpus_per_switch' in [node] and a section [switch] go together", name));
  if (file.has("switch")) {
    node.gpus_per_switch = file.count("node", "gpus_per_switch");
    node.switch_bytes_per_s = bandwidth(file, "switch");
  }
  if (!file.has("root")) return;
  node.gpus_per_root = file.count("root", "gpus");
  node.root_bytes_per_s = file.number("root", "many_GBps") * 1e9;
  if (node.gpus % node.gpus_per_root != 0)
    throw InvalidInput(fmt::format("{}: {} GPUs on a root complex of {} in a node: must divide them",
                                   file.line("root", "gpus").where, node.gpus_per_root, node.gpus));
}

void read_nics(const IniFile& file, Node& node) {
  node.gpus_per_nic = file.count_or("node", "gpus_per_nic", node.gpus_per_nic);
  if (!file.has("nic")) return;
  node.nic_bytes_per_s = bandwidth(file, "nic");
  node.nic_startup_s = file.number("nic", "startup_us") * 1e-6;
  node.nic_startups = startups_of(file, "nic");
  node.nic_sms = file.count_or("nic", "sms", node.nic_sms);
}

Node node_of(const IniFile& file, const std::string& name) {
  Node node;
  node.gpus = file.count("node", "gpus");
  node.processors = file.number_or("node", "processors", node.processors);
  node.link_bytes_per_s = bandwidth(file, "link");
  node.link_startup_s = file.number("link", "startup_us") * 1e-6;
  node.link_startups = startups_of(file, "link");
  node.link_sms = file.count_or("link", "sms", node.link_sms);
  node.link_efficiency_during_compute = file.number_or("link", "busy_efficiency", 1);
  node.compute_efficiency_during_transfers = file.number_or("link", "compute_efficiency", 1);
  read_switches(file, name, node);
  read_nics(file, node);
  for (const char* key : {"gpus_per_nic", "gpus_per_switch"})
    if (file.has("node", key) && node.gpus % file.count("node", key) != 0)
      throw InvalidInput(fmt::format("{}: {} {} of {} GPUs: must divide them", file.line("node", key).where, key,
                                     file.count("node", key), node.gpus));
  return node;
}

/// @throws InvalidInput on a key that a non-blocking fabric has not, unless a setting has made the fabric non-blocking.
void check_non_blocking(const IniFile& file) {
  const bool kind_was_set = file.has("fabric", "kind") && file.line("fabric", "kind").by_setting;
  for (const char* key : {"nodes_per_leaf", "oversubscription", "paths"})
    if (file.has("fabric", key) && !(kind_was_set && !file.line("fabric", key).by_setting))
      throw InvalidInput(fmt::format("{}: '{}' in a non-blocking fabric: only fat-tree and rail have it",
                                     file.line("fabric", key).where, key));
}

Fabric fabric_of(const IniFile& file, const std::string& name) {
  Fabric fabric;
  fabric.kind = file.name_or("fabric", "kind", kFabrics, fabric.kind);
  if (fabric.kind == Fabric::Kind::kNonBlocking) {
    check_non_blocking(file);
    return fabric;
  }
  if (!file.has("nic")) throw InvalidInput(fmt::format("{}: a fabric without a section [nic]", name));
  fabric.nodes_per_leaf = file.count("fabric", "nodes_per_leaf");
  fabric.oversubscription = file.number("fabric", "oversubscription");
  constexpr int kMostPaths = 1024;
  fabric.paths = file.count_or("fabric", "paths", fabric.paths);
  if (fabric.paths > kMostPaths)
    throw InvalidInput(
        fmt::format("{}: paths {} must be from 1 to {}", file.line("fabric", "paths").where, fabric.paths, kMostPaths));
  if (fabric.oversubscription < 1)
    throw InvalidInput(fmt::format("{}: oversubscription {} must be from 1",
                                   file.line("fabric", "oversubscription").where, fabric.oversubscription));
  return fabric;
}

std::vector<IniKey> all_keys() {
  std::vector<IniKey> all;
  for (std::span<const IniKey> keys : {std::span<const IniKey>(kClusterKeys), gpu_keys(), framework_keys()})
    all.insert(all.end(), keys.begin(), keys.end());
  return all;
}

/// Applies those of the settings whose keys the file may have. @throws InvalidInput if no file may have the key.
void apply(std::span<const std::string> settings, std::span<const IniKey> keys, IniFile& file) {
  const std::vector<IniKey> all = all_keys();
  for (const std::string& setting : settings) {
    const IniKey& key = key_of_setting(setting, all);
    const auto is_same = [&](const IniKey& k) { return k.section == key.section && k.name == key.name; };
    if (std::ranges::any_of(keys, is_same)) file.set(setting);
  }
  file.require_all();
}

/// A file with its settings applied.
IniFile read(const std::filesystem::path& path, std::span<const IniKey> keys, std::span<const std::string> settings) {
  IniFile file = IniFile::read(path, keys);
  apply(settings, keys, file);
  return file;
}

std::filesystem::path gpu_path_of(const IniFile& cluster, const std::filesystem::path& topologies) {
  const IniLine& gpu = cluster.line("cluster", "gpu");
  return with_location(gpu.where, [&] { return find_ini("GPU profile", gpu.value, topologies / "gpus"); });
}

IniFile read_framework(const std::string& framework, const std::filesystem::path& topologies,
                       std::span<const std::string> settings) {
  if (!framework.empty())
    return read(find_ini("framework", framework, topologies / "frameworks"), framework_keys(), settings);
  IniFile file = IniFile::parse("", "framework", framework_keys());
  apply(settings, framework_keys(), file);
  return file;
}

}  // namespace

ClusterFiles::ClusterFiles(const std::string& name_or_path, const std::filesystem::path& topologies,
                           std::span<const std::string> settings, const std::string& framework)
    : path_(find_ini("cluster", name_or_path, topologies / "clusters")),
      file_(read(path_, kClusterKeys, settings)),
      gpu_path_(gpu_path_of(file_, topologies)),
      gpu_(read(gpu_path_, gpu_keys(), settings)),
      framework_(read_framework(framework, topologies, settings)) {}

Cluster ClusterFiles::cluster(std::span<const std::string> more_settings) const {
  if (!more_settings.empty()) {
    ClusterFiles changed = *this;
    apply(more_settings, kClusterKeys, changed.file_);
    apply(more_settings, gpu_keys(), changed.gpu_);
    apply(more_settings, framework_keys(), changed.framework_);
    return changed.cluster();
  }
  Cluster cluster;
  cluster.name = path_.stem().string();
  cluster.gpu = gpu_of(gpu_, gpu_path_);
  cluster.gpu.framework = framework_of(framework_);
  cluster.node = node_of(file_, path_.string());
  for (int sms : {cluster.node.link_sms, cluster.node.nic_sms})
    if (cluster.gpu.sms > 0 && sms >= cluster.gpu.sms)
      throw InvalidInput(fmt::format("{}: exchanges take {} SMs of the {} that {} has: some must be left to compute",
                                     path_.string(), sms, cluster.gpu.sms, cluster.gpu.name));
  cluster.fabric = fabric_of(file_, path_.string());
  for (const IniFile* file : {&file_, &gpu_, &framework_}) add_figures(*file, cluster);
  return cluster;
}

Cluster read_cluster(const std::string& name_or_path, const std::filesystem::path& topologies,
                     std::span<const std::string> settings, const std::string& framework) {
  return ClusterFiles(name_or_path, topologies, settings, framework).cluster();
}

std::vector<std::string> cluster_names(const std::filesystem::path& topologies) {
  return ini_names(topologies / "clusters");
}

std::vector<std::string> gpu_names(const std::filesystem::path& topologies) { return ini_names(topologies / "gpus"); }

}  // namespace meshattn
