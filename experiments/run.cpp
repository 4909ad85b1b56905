#include <spdlog/spdlog.h>

#include <algorithm>
#include <iostream>
#include <numeric>

#include "core/report/chrome_trace.h"
#include "core/report/file.h"
#include "experiments/device_options.h"
#include "experiments/run_report.h"
#include "experiments/run_request.h"
#include "experiments/verb.h"

namespace meshattn {

namespace {

namespace po = boost::program_options;
using gpu::Job;
using gpu::Transport;

int report(const RunRequest& asked, const std::vector<PassRun>& passes, const std::string& device, const Job& job) {
  if (!asked.trace.empty())
    write_file(asked.trace, [&](std::ostream& out) {
      std::vector<Rank> ranks(static_cast<std::size_t>(asked.problem().ranks));
      std::iota(ranks.begin(), ranks.end(), 0);
      write_chrome_trace(out, passes.front().schedule, Network(asked.request.cluster, asked.placement),
                         passes.front().result.trace, ranks);
    });
  if (!asked.json.empty())
    write_file(asked.json, [&](std::ostream& out) { write_json(out, asked, passes, device, job.size()); });
  if (asked.json != "-" && asked.trace != "-") print(std::cout, asked, passes, device, job.size());
  const bool right = std::ranges::all_of(passes, [](const PassRun& pass) { return is_right(pass); });
  if (!right) spdlog::error("the results are further from dense attention than they may be");
  return right ? 0 : 1;
}

int run_on_devices(const po::variables_map& given) {
  const std::string device = gpu::devices(read_backend(given)).description;
  RunRequest asked = read_run_request(given);
  return gpu::in_job([&](const Job& job) {
    choose_transport(given, job, asked.options);
    const std::vector<PassRun> passes = run_passes(asked, job);
    return job.rank() == 0 ? report(asked, passes, device, job) : 0;
  });
}

}  // namespace

Verb run_verb() {
  Verb verb{
      "run", "a schedule on the GPUs of this machine, or of a job of mpirun or srun; checks the numbers",
      "  meshattn run --cluster dgx-h100 --gpus 8 --ranks-per-gpu 8 --heads 32 --kv-heads 8 --head-dim 128 \\\n"
      "      --seq 32K --mask causal --algorithm mesh --tile 2x4 --pass both\n"
      "  mpirun -n 16 meshattn run --schedule schedule.txt --cluster dgx-h100 --transport nccl\n"
      "  meshattn run --device cpu --cluster ideal-8x50 --gpus 4 --heads 4 --head-dim 64 --seq 512 --algorithm ring\n",
      po::options_description("options"), run_on_devices};
  add_run_options(verb.options);
  return verb;
}

}  // namespace meshattn
