#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/cluster/cluster_file.h"
#include "core/execution/cost_model.h"

namespace {

const std::filesystem::path kTopologies = std::filesystem::path(MESHATTN_SOURCE_DIR) / "topologies";

/// True if the cluster is accepted. Its times must then be finite and positive.
bool accepts(const std::string& cluster, const std::vector<std::string>& settings) {
  try {
    const meshattn::Cluster c = meshattn::read_cluster(cluster, kTopologies, settings);
    const meshattn::Problem problem{{8192, 8192, 1, 32, 8, 128, meshattn::Dtype::kBf16}};
    const double seconds =
        meshattn::CostModel(c.gpu, problem).attention_s(8192.0 * 8192, 8192, 8192, meshattn::KernelMask::kFull);
    if (!std::isfinite(seconds) || seconds <= 0)
      throw std::logic_error("the attention time is not finite and positive");
    for (double x : {c.node.link_bytes_per_s, c.node.link_startup_s, c.node.nic_bytes_per_s, c.node.nic_startup_s})
      if (!std::isfinite(x) || x < 0) throw std::logic_error("a bandwidth or start-up is negative or not finite");
    return true;
  } catch (const meshattn::InvalidInput&) {
    return false;
  }
}

/// A temporary file of this process, removed at its end.
struct TemporaryFile {
  std::string path =
      (std::filesystem::temp_directory_path() / ("meshattn_fuzz_" + std::to_string(getpid()) + ".ini")).string();
  ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace

/// Reads the bytes as a cluster and as a GPU profile.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFile file;
  std::ofstream(file.path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const bool cluster = accepts(file.path, {});
  const bool gpu = accepts("ideal-8x50", {"cluster.gpu=" + file.path});
  return cluster || gpu ? 0 : -1;
}
