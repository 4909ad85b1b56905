#include "experiments/cli/text/topology_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace meshattn {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Node four_cards() { return {.gpus = 4, .link_bytes_per_s = 20e9}; }

std::string drawn(const Node& node) {
  Cluster cluster;
  cluster.node = node;
  return drawing_of(cluster, Network(cluster, node.gpus));
}

TEST(TopologyText, ANodeHasOneSwitchByDefault) {
  EXPECT_THAT(drawn(four_cards()), HasSubstr("\n  ============================    switch of the node\n"));
}

TEST(TopologyText, SwitchesAreDrawnApartWithTheLinkBetween) {
  Node node = four_cards();
  node.gpus_per_switch = 2;
  node.switch_bytes_per_s = 10e9;
  EXPECT_THAT(
      drawn(node),
      AllOf(HasSubstr("\n  ============----============    2 switches of 2 GPUs, 10.00 GB/s each direction between"),
            Not(HasSubstr("CPUs"))));
}

TEST(TopologyText, CpusAreDrawnBelowTheirSwitches) {
  Node node = four_cards();
  node.gpus_per_root = 2;
  node.root_bytes_per_s = 3e9;
  const std::string cpus =
      "  ============================    2 CPUs with 2 GPUs each, which pass on 3.00 GB/s to more than 4 "
      "pairs at once\n";
  EXPECT_THAT(drawn(node), AllOf(HasSubstr(cpus), Not(HasSubstr("switch"))));
  node.gpus_per_switch = 2;
  node.switch_bytes_per_s = 10e9;
  EXPECT_THAT(drawn(node), HasSubstr("between them\n" + cpus));
}

}  // namespace
}  // namespace meshattn
