#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <iostream>

#include "core/cluster_file.h"
#include "core/error.h"
#include "core/keyed_file.h"
#include "core/leave_one_out.h"
#include "core/report/figures.h"
#include "core/report/file.h"
#include "experiments/calibration.h"
#include "experiments/device_options.h"
#include "experiments/request.h"
#include "experiments/table.h"
#include "experiments/units.h"
#include "experiments/verb.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

std::vector<std::int64_t> lengths_of(const std::string& given, const char* option) {
  std::vector<std::int64_t> lengths;
  for (std::size_t begin = 0; begin <= given.size();) {
    const std::size_t end = std::min(given.find(',', begin), given.size());
    lengths.push_back(parse_tokens(std::string_view(given).substr(begin, end - begin), option));
    begin = end + 1;
  }
  if (!std::ranges::is_sorted(lengths, std::less_equal()))
    throw InvalidInput(fmt::format("{} {}: lengths must ascend", option, given));
  return lengths;
}

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(now));
}

CalibrationRequest read_calibration(const po::variables_map& given) {
  CalibrationRequest request;
  request.options = read_device_options(given);
  request.devices = gpu::devices(request.options.backend);
  const bool cpu = request.options.backend == gpu::Backend::kCpu;
  if (!given.count("ranks-per-gpu") && request.devices.count == 1) request.options.ranks_per_device = 16;
  request.ranks = request.options.ranks_per_device > 1 ? request.options.ranks_per_device : request.devices.count;
  AttentionShape& shape = request.shape;
  shape.batch = 1;
  shape.heads = count_of(given, "heads", cpu ? 4 : 64);
  shape.kv_heads = count_of(given, "kv-heads", given.count("heads") ? shape.heads : cpu ? 2 : 8);
  shape.head_dim = count_of(given, "head-dim", cpu ? 64 : 128);
  shape.dtype = parse_dtype(optional(given, "dtype", "bf16"));
  if (shape.heads % shape.kv_heads != 0)
    throw InvalidInput(fmt::format("--heads {} is no multiple of --kv-heads {}", shape.heads, shape.kv_heads));
  request.lengths = lengths_of(optional(given, "lengths", cpu ? "64,128,256,512" : "512,1K,2K,4K,8K,16K"), "--lengths");
  request.message_tokens =
      lengths_of(optional(given, "message-tokens", cpu ? "16,256,4K" : "4,64,256,1K,4K,16K"), "--message-tokens");
  request.source =
      fmt::format("measured: {}, {}, median of {}", request.devices.description, today(), request.options.repeats);
  return request;
}

std::string words_of(const CalibrationRequest& request, const Calibration& m, const GpuProfile& profile) {
  std::vector<std::vector<std::string>> cells{{"attention", "tokens", "TFLOP/s"}};
  for (const AttentionPoint& p : m.points)
    cells.push_back({fmt::format("{} {}", name_of(p.pass), name_of(p.mask)), std::to_string(p.q_tokens),
                     fmt::format("{:.4g}", p.flops_per_s / 1e12)});
  std::string text = fmt::format("{}\n\n{}\n", request.source, aligned(cells, 1));
  if (const std::vector<double> errors = leave_one_out(profile); !errors.empty())
    text += fmt::format("points from the others, left out in turn: {:.1f} % off in the median, {:.1f} % at worst\n",
                        100 * errors[errors.size() / 2], 100 * errors.back());
  text += fmt::format("merging: {}/s; from kernel to kernel: {}; timing every op takes {:.1f} % longer\n",
                      bytes_text(m.combine_bytes_per_s), time_text(m.launch_s), 100 * m.timing_overhead);
  if (request.ranks == 1) return text;
  cells = {{"message", "took"}};
  for (const StartupPoint& s : m.startups)
    cells.push_back({bytes_text(s.bytes), time_text(s.seconds + s.bytes / m.link_bytes_per_s)});
  return text + '\n' + aligned(cells, 0) +
         fmt::format(
             "\nranks that compute at once do {:.2f} times what one does\n"
             "messages: at most {}/s; {:.0f} % of it each way in both; {} ranks at once {}/s in all\n"
             "attention beside messages takes {:.1f} % longer, messages beside attention {:.1f} %\n",
             m.processors, bytes_text(m.link_bytes_per_s), 100 * m.both_ways, request.ranks,
             bytes_text(m.shared_bytes_per_s), 100 * m.attention_slowed, 100 * m.messages_slowed);
}

/// Of a file, and of a cluster in other files.
std::string read_name(const po::variables_map& given) {
  const std::string name = required(given, "name", "my-box");
  const std::string possible = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  if (name.empty() || name.find_first_not_of(possible) != std::string::npos)
    throw InvalidInput(fmt::format("--name '{}': letters, digits, - and _ are possible", printable(name)));
  return name;
}

int calibrate_alone(const po::variables_map& given) {
  const std::string name = read_name(given), gpu = name + "-gpu";
  const CalibrationRequest request = read_calibration(given);
  const fs::path folder = required(given, "out", "my-topologies");
  const fs::path profile = folder / "gpus" / (gpu + ".ini"), cluster = folder / "clusters" / (name + ".ini");
  for (const fs::path& path : {profile, cluster}) {
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) throw InvalidInput(fmt::format("--out {}: {}", folder.string(), error.message()));
    check_writable(path.string());
  }
  const Calibration measured = calibrate(request, [](const std::string& what) { spdlog::info("measuring {}", what); });
  const auto write = [](const fs::path& path, const std::string& text) {
    write_file(path.string(), [&](std::ostream& out) { out << text; });
  };
  write(profile, profile_text(request, measured));
  write(cluster, cluster_text(request, measured, gpu));
  const Cluster read = read_cluster(name, folder.string());  // what was written can be read
  std::cout << words_of(request, measured, read.gpu)
            << fmt::format("\nwritten: {}, {}; use them with --topologies {} --cluster {}\n", profile.string(),
                           cluster.string(), folder.string(), name);
  return 0;
}

int calibrate_devices(const po::variables_map& given) {
  return gpu::in_job([&](const gpu::Job& job) {
    if (job.size() > 1) throw InvalidInput("calibrate is one process: start it without mpirun");
    return calibrate_alone(given);
  });
}

}  // namespace

Verb calibrate_verb() {
  Verb verb{"calibrate", "measures this machine's devices and writes a profile and a cluster of them",
            "  meshattn calibrate --name my-box --out my-topologies\n"
            "  meshattn calibrate --name my-cpu --out my-topologies --device cpu\n",
            po::options_description("options"), calibrate_devices};
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  verb.options.add_options()                                                                         //
      ("name", text("NAME"), "of the cluster; its profile is NAME-gpu")                              //
      ("out", text("DIR"), "where they go: DIR/clusters, DIR/gpus")                                  //
      ("heads", text("N"), "query heads (64; cpu: 4)")                                               //
      ("kv-heads", text("N"), "key/value heads (8; cpu: 2; as many as --heads if that is given)")    //
      ("head-dim", text("N"), "elements of one head (128; cpu: 64)")                                 //
      ("dtype", text("TYPE"), "of Q, K, V and O: bf16 (usual), fp16, fp32")                          //
      ("lengths", text("TOKENS,..."), "of queries and of keys: 512,1K,... to 16K (cpu: 64 to 512)")  //
      ("message-tokens", text("TOKENS,..."), "whose K and V are sent: 4,64,... to 16K (cpu: 16 to 4K)");
  add_device_options(verb.options);
  return verb;
}

}  // namespace meshattn
