#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <functional>
#include <iostream>

#include "core/base/error.h"
#include "core/base/numbers.h"
#include "experiments/cli/options/device_options.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"
#include "experiments/cli/text/topology_text.h"
#include "experiments/cli/verb.h"
#include "experiments/measure/calibration/calibration.h"
#include "experiments/measure/calibration/output_files.h"
#include "experiments/measure/calibration/report.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

/// Numbers of tokens in a list: "512,1K,2K".
std::vector<std::int64_t> ascending(const std::string& given, const char* option) {
  std::vector<std::int64_t> numbers;
  for (std::size_t begin = 0; begin <= given.size();) {
    const std::size_t end = std::min(given.find(',', begin), given.size());
    numbers.push_back(parse_tokens(std::string_view(given).substr(begin, end - begin), option));
    begin = end + 1;
  }
  if (!std::ranges::is_sorted(numbers, std::less_equal()))
    throw InvalidInput(fmt::format("{} {}: must ascend", option, given));
  return numbers;
}

/// Numbers of thread blocks of an NCCL kernel with which links are measured; the first is for the cluster itself.
std::vector<int> ctas_of(const po::variables_map& given, const gpu::RunOptions& options) {
  if (options.transport == gpu::Transport::kCopies) {
    if (given.count("ctas")) throw InvalidInput("--ctas needs --transport nccl");
    return {0};
  }
  std::vector<int> ctas{options.max_ctas};
  for (std::int64_t other : ascending(optional(given, "ctas", "1,2,4,8,16"), "--ctas")) {
    if (other > gpu::kMaxCtas)
      throw InvalidInput(fmt::format("--ctas {}: at most {} are possible", other, gpu::kMaxCtas));
    if (other != options.max_ctas) ctas.push_back(static_cast<int>(other));
  }
  return ctas;
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
  const bool shares = request.options.ranks_per_device > 1;
  if (!given.count("ranks-per-gpu") && request.devices.count == 1) request.options.ranks_per_device = 16;
  request.ranks = request.options.ranks_per_device > 1 ? request.options.ranks_per_device : request.devices.count;
  AttentionShape& shape = request.shape;
  shape.batch = 1;
  shape.heads = count_of(given, "heads", cpu ? 4 : 64);
  shape.kv_heads = count_of(given, "kv-heads", given.count("heads") ? shape.heads : cpu ? 2 : 8);
  shape.head_dim = count_of(given, "head-dim", cpu ? 64 : 128);
  shape.dtype = parse_dtype(optional(given, "dtype", "bf16"));
  if (shape.heads % shape.kv_heads != 0)
    throw InvalidInput(fmt::format("--heads {} is not a multiple of --kv-heads {}", shape.heads, shape.kv_heads));
  request.ctas = ctas_of(given, request.options);
  if (request.options.transport == gpu::Transport::kNccl && (cpu || request.devices.count < 2 || shares))
    throw InvalidInput("--transport nccl needs several GPUs, with one rank each");
  request.lengths = ascending(optional(given, "lengths", cpu ? "64,128,256,512" : "512,1K,2K,4K,8K,16K"), "--lengths");
  request.message_tokens =
      ascending(optional(given, "message-tokens", cpu ? "16,256,4K" : "4,64,256,1K,4K,16K"), "--message-tokens");
  for (std::int64_t tokens : request.message_tokens)
    if (const std::int64_t most = request.message_tokens.back(); most % tokens != 0 || most / tokens > kMaxCuts)
      throw InvalidInput(
          fmt::format("--message-tokens: {} must divide {} into at most {} parts", tokens, most, kMaxCuts));
  request.source = fmt::format("measured: {}, {}, median repeat of {}", request.devices.description, today(),
                               request.options.repeats);
  return request;
}

/// The name of the cluster, which is that of its file.
std::string read_name(const po::variables_map& given) {
  const std::string name = required(given, "name", "my-box");
  const std::string possible = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  if (name.empty() || name.size() > 100 || name.find_first_not_of(possible) != std::string::npos)
    throw InvalidInput(fmt::format("--name '{}': up to 100 letters, digits, - and _ are possible", printable(name)));
  return name;
}

int calibrate_alone(const po::variables_map& given) {
  const std::string name = read_name(given);
  const CalibrationRequest request = read_calibration(given);
  const fs::path folder = required(given, "out", "my-topologies");
  const OutputFiles files(folder, name, request.ctas);
  files.create_folders();
  const Calibration measured = calibrate(
      request,
      [](const Schedule& s, const gpu::RunOptions& options) { return gpu::run(s, {}, options, gpu::Job::alone(0)); },
      [](const std::string& what) { spdlog::info("measuring {}", what); });
  std::cout << report_text(request, measured) << std::flush;
  std::cout << leave_one_out_text(files.write(request, measured));
  std::cout << fmt::format("\nwritten: {}", files.profile().string());
  for (const fs::path& path : files.clusters()) std::cout << ", " << path.string();
  const bool spaced = folder.string().find(' ') != std::string::npos;
  std::cout << fmt::format("; use them with --topologies {0}{1}{0} --cluster {2}\n", spaced ? "'" : "", folder.string(),
                           name);
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
            po::options_description(), calibrate_devices};
  po::options_description calibration = option_group("calibration");
  calibration.add_options()                                                                                    //
      ("name", text_value("NAME"), "of the cluster; its profile is NAME-gpu")                                  //
      ("out", text_value("DIR"), "folder of the results: DIR/clusters, DIR/gpus")                              //
      ("heads", text_value("N"), "query heads (64; cpu: 4)")                                                   //
      ("kv-heads", text_value("N"), "key/value heads (8; cpu: 2; with --heads: as many)")                      //
      ("head-dim", text_value("N"), "elements of one head (128; cpu: 64)")                                     //
      ("dtype", text_value("TYPE"), "of Q, K, V and O: bf16 (default), fp16, fp32")                            //
      ("lengths", text_value("TOKENS,..."), "of queries and of keys (512,1K,... to 16K; cpu: 64 to 512)")      //
      ("message-tokens", text_value("TOKENS,..."), "whose K and V are sent (4,64,... to 16K; cpu: 16 to 4K)")  //
      ("ctas", text_value("N,..."), "of NCCL kernels, a cluster NAME-ctas-N each (1,2,4,8,16)");
  verb.options.add(calibration);
  add_device_options(verb.options);
  add_output_options(verb.options);
  return verb;
}

}  // namespace meshattn
