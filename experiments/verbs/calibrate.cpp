#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "core/base/error.h"
#include "core/base/format.h"
#include "core/base/median.h"
#include "core/base/numbers.h"
#include "core/base/output_file.h"
#include "core/cluster/cluster_file.h"
#include "experiments/cli/options/device_options.h"
#include "experiments/cli/options/option_group.h"
#include "experiments/cli/request.h"
#include "experiments/cli/text/table.h"
#include "experiments/cli/text/topology_text.h"
#include "experiments/cli/units.h"
#include "experiments/cli/verb.h"
#include "experiments/measure/calibration.h"
#include "experiments/measure/microbenchmark.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

/// "512,1K,2K"
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

/// Thread blocks of an NCCL kernel with which links are measured, first those of which the cluster is.
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
    throw InvalidInput(fmt::format("--heads {} is no multiple of --kv-heads {}", shape.heads, shape.kv_heads));
  request.ctas = ctas_of(given, request.options);
  if (request.options.transport == gpu::Transport::kNccl && (cpu || request.devices.count < 2 || shares))
    throw InvalidInput("--transport nccl needs several GPUs, with one rank each");
  request.lengths = ascending(optional(given, "lengths", cpu ? "64,128,256,512" : "512,1K,2K,4K,8K,16K"), "--lengths");
  request.message_tokens =
      ascending(optional(given, "message-tokens", cpu ? "16,256,4K" : "4,64,256,1K,4K,16K"), "--message-tokens");
  for (std::int64_t tokens : request.message_tokens)
    if (const std::int64_t most = request.message_tokens.back(); most % tokens != 0 || most / tokens > kMaxCuts)
      throw InvalidInput(
          fmt::format("--message-tokens: {} is no part of {}, or less than 1 of {} parts", tokens, most, kMaxCuts));
  request.source = fmt::format("measured: {}, {}, median repeat of {}", request.devices.description, today(),
                               request.options.repeats);
  return request;
}

std::string links_text(const CalibrationRequest& request, const Calibration& m) {
  const LinkCalibration& first = m.links.at(request.ctas.front());
  std::vector<std::vector<std::string>> cells{{"message", "took"}};
  for (const StartupPoint& s : first.startups)
    cells.push_back({bytes_text(s.bytes), time_text(s.seconds + s.bytes / first.bytes_per_s)});
  std::string text = '\n' + aligned(cells, 0) + '\n';
  if (!m.paths.empty()) {
    const auto path = [](const PathRate& p) {
      return fmt::format("{}/s (GPU {} to {})", bytes_text(p.bytes_per_s), p.from, p.to);
    };
    text += fmt::format("paths: from {} to {}\n\n", path(m.paths.front()), path(m.paths.back()));
  }
  cells = {{"messages by", "one alone", "both ways, each", "all at once", "each to each", "attention beside",
            "beside attention", "overlap"}};
  for (const auto& [ctas, links] : m.links)
    cells.push_back(
        {ctas > 0 ? fmt::format("NCCL, at most {} CTAs", ctas) : "copies", bytes_text(links.bytes_per_s) + "/s",
         percent_text(links.both_ways), bytes_text(links.shared_bytes_per_s) + "/s",
         links.all_to_all_bytes_per_s > 0 ? bytes_text(links.all_to_all_bytes_per_s) + "/s" : "-",
         fmt::format("+{:.1f} %", 100 * links.attention_slowdown),
         fmt::format("+{:.1f} %{}", 100 * links.message_slowdown, links.has_few_overlapped_messages() ? " (?)" : ""),
         percent_text(links.overlap)});
  return text + aligned(cells, 1) +
         fmt::format(
             "all at once: of {} ranks, each to the next, together; each to each: likewise, to all others; attention "
             "beside: how much longer it takes beside messages; beside attention: how much longer the largest message "
             "takes, ? if too few came before attention had ended; overlap: (Tc + Tm - T) / min(Tc, Tm) of attention, "
             "messages, both\n",
             request.ranks);
}

std::string words_of(const CalibrationRequest& request, const Calibration& m) {
  std::vector<std::vector<std::string>> cells{{"attention", "tokens", "TFLOP/s"}};
  for (const AttentionPoint& p : m.points)
    cells.push_back({fmt::format("{} {}", name_of(p.pass), name_of(p.mask)), std::to_string(p.q_tokens),
                     fmt::format("{:.4g}", p.flops_per_s / 1e12)});
  std::string text = fmt::format("{}\n\n{}\n", request.source, aligned(cells, 1));
  if (!m.rectangle_errors.empty())
    text += fmt::format(
        "kernels of four times as many keys as queries, or the other way, from these points: {:.1f} % off in the "
        "median, {:.1f} % at worst\n",
        100 * median(m.rectangle_errors), 100 * m.rectangle_errors.back());
  std::string of_copies;  // which read and write what they move
  if (request.options.ranks_per_device > 1 && request.ranks > 1)
    of_copies = fmt::format(" ({:.0f} % of what a copy on the device reads and writes)",
                            100 * m.combine_bytes_per_s / 2 / m.links.at(0).bytes_per_s);
  text += fmt::format(
      "merging: {}/s{}; summing gradients: {}/s\n"
      "from the end of an op to the start of the next: {}; timing an op: {} +- {} ({:.1f} % more); issuing an op: "
      "{} of the host\n",
      bytes_text(m.combine_bytes_per_s), of_copies, bytes_text(m.accumulate_bytes_per_s), time_text(m.launch_s),
      time_text(m.event_s), time_text(m.event_noise_s), 100 * m.timing_overhead, time_text(m.issue_s));
  if (request.ranks == 1) return text;
  text += fmt::format("ranks that compute at once do {:.2f} times what one does\n", m.processors);
  return text + links_text(request, m);
}

/// Of a file, and of a cluster in other files.
std::string read_name(const po::variables_map& given) {
  const std::string name = required(given, "name", "my-box");
  const std::string possible = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  if (name.empty() || name.size() > 100 || name.find_first_not_of(possible) != std::string::npos)
    throw InvalidInput(fmt::format("--name '{}': up to 100 letters, digits, - and _ are possible", printable(name)));
  return name;
}

/// Where results go.
struct Files {
  Files(const fs::path& folder, const std::string& name, const std::vector<int>& ctas)
      : profile(folder / "gpus" / (name + "-gpu.ini")) {
    for (int number : ctas)
      clusters.push_back(number == ctas.front() ? folder / "clusters" / (name + ".ini")
                                                : of_ctas(folder, name, number));
  }
  static fs::path of_ctas(const fs::path& folder, const std::string& name, int number) {
    return folder / "clusters" / fmt::format("{}-ctas-{}.ini", name, number);
  }

  /// Makes their folders. @throws InvalidInput if they cannot be written there
  void prepare(const fs::path& folder) const {
    std::vector<fs::path> all = clusters;
    all.push_back(profile);
    for (const fs::path& path : all) {
      std::error_code error;
      fs::create_directories(path.parent_path(), error);
      if (error) throw InvalidInput(fmt::format("--out {}: {}", folder.string(), error.message()));
      check_writable(path.string());
    }
  }

  fs::path profile;
  std::vector<fs::path> clusters;  ///< for each number of CTAs
};

/// A folder that goes when this does.
class Trial {
 public:
  explicit Trial(fs::path folder) : folder_(std::move(folder)) {}
  ~Trial() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;
  [[nodiscard]] const fs::path& folder() const { return folder_; }

 private:
  fs::path folder_;
};

/// Clusters that an earlier calibration of this name left, of CTAs that this one has not.
void remove_others(const Files& files, const fs::path& folder, const std::string& name) {
  for (int ctas = 1; ctas <= gpu::kMaxCtas; ++ctas) {
    const fs::path other = Files::of_ctas(folder, name, ctas);
    std::ifstream file(other);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    if (std::ranges::count(files.clusters, other) == 0 && text.starts_with("# By meshattn calibrate") &&
        text.find("\ngpu = " + name + "-gpu\n") != std::string::npos) {
      std::error_code ignored;  // it stays, then
      fs::remove(other, ignored);
    }
  }
}

int calibrate_alone(const po::variables_map& given) {
  const std::string name = read_name(given);
  const CalibrationRequest request = read_calibration(given);
  const fs::path folder = required(given, "out", "my-topologies");
  const Files files(folder, name, request.ctas);
  files.prepare(folder);
  const Calibration measured = calibrate(
      request,
      [](const Schedule& s, const gpu::RunOptions& options) { return gpu::run(s, {}, options, gpu::Job::alone(0)); },
      [](const std::string& what) { spdlog::info("measuring {}", what); });
  std::cout << words_of(request, measured) << std::flush;

  const auto write = [](const fs::path& path, const std::string& text) {
    write_file(path.string(), [&](std::ostream& out) { out << text; });
  };
  std::vector<std::string> texts{profile_text(request, measured)};
  for (int ctas : request.ctas) texts.push_back(cluster_text(request, measured, ctas, name + "-gpu"));
  const auto write_all = [&](const Files& into) {
    write(into.profile, texts.front());
    for (std::size_t i = 0; i < into.clusters.size(); ++i) write(into.clusters[i], texts[i + 1]);
  };
  // What cannot be read does not replace what could be.
  const Trial trial(folder / fmt::format("trial-{}", getpid()));
  const Files tried(trial.folder(), name, request.ctas);
  tried.prepare(folder);
  write_all(tried);
  GpuProfile profile;  // that of all
  for (const fs::path& path : tried.clusters) profile = read_cluster(path.string(), trial.folder()).gpu;
  std::cout << leave_one_out_text(profile);
  write_all(files);
  remove_others(files, folder, name);
  std::cout << fmt::format("\nwritten: {}", files.profile.string());
  for (const fs::path& path : files.clusters) std::cout << ", " << path.string();
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
