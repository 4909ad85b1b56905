#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "core/base/error.h"
#include "core/base/format.h"
#include "core/base/numbers.h"
#include "core/cluster/cluster_file.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"
#include "experiments/cli/text/table.h"
#include "experiments/cli/text/topology_text.h"
#include "experiments/cli/units.h"
#include "experiments/cli/verb.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;

std::string list(const std::filesystem::path& topologies) {
  std::vector<std::vector<std::string>> rows{{"cluster", "GPUs a node", "GPU", "each GPU's link", "NICs", "fabric"}};
  for (const std::string& name : cluster_names(topologies)) {
    const Cluster c = read_cluster(name, topologies);
    const bool nics = c.node.nic_bytes_per_s > 0;
    rows.push_back(
        {name, fmt::format("{}", c.node.gpus), c.gpu.name, bytes_text(c.node.link_bytes_per_s) + "/s",
         nics ? fmt::format("{} of {}/s", c.node.gpus / c.node.gpus_per_nic, bytes_text(c.node.nic_bytes_per_s))
              : "none",
         nics ? fabric_text(c.fabric) : "one node only"});
  }
  return aligned(rows, 1) +
         fmt::format(
             "\nmeshattn topology --cluster NAME shows one; with --set cluster.gpu=PROFILE any has one of {}.\n",
             fmt::join(gpu_names(topologies), ", "));
}

int topology(const po::variables_map& given) {
  if (!given.count("cluster")) {
    for (const char* option : {"gpus", "set", "framework"})
      if (given.count(option)) throw InvalidInput(fmt::format("--{} needs --cluster NAME", option));
    std::cout << list(topologies_of(given));
    return 0;
  }
  const Cluster cluster = read_cluster_files(given).cluster();
  const int gpus = given.count("gpus") ? parse_count(given["gpus"].as<std::string>(), "--gpus") : cluster.node.gpus;
  const Network network(cluster, gpus);
  std::cout << drawing_of(cluster, network) << '\n'
            << links_text(network) << '\n'
            << sources_text(cluster) << '\n'
            << leave_one_out_text(cluster.gpu);
  return 0;
}

}  // namespace

Verb topology_verb() {
  Verb verb{"topology", "lists clusters, or checks and draws one with every number and its source",
            "  meshattn topology\n  meshattn topology --cluster dgx-h100 --gpus 64 --set nic.bandwidth_GBps=25\n",
            po::options_description(), topology};
  add_cluster_options(verb.options);
  po::options_description size = option_group("size");
  size.add_options()("gpus", text_value("N"), "GPUs (those of one node)");
  verb.options.add(size);
  add_output_options(verb.options);
  return verb;
}

}  // namespace meshattn
