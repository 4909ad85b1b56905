#include "experiments/measure/measure.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/execution/estimate.h"
#include "core/schedule/passes/verify.h"
#include "experiments/cli/options/device_options.h"
#include "experiments/cli/text/findings.h"
#include "experiments/measure/microbenchmark.h"
#include "gpu/base/deadline.h"
#include "gpu/kernels/value_conversion.h"

namespace meshattn {

namespace {

using gpu::Job;
using gpu::Kernels;
using gpu::RunOptions;

/// All of attention, in every process, takes long, and not as long in one as in the other.
constexpr double kDenseSeconds = 3600;

/// Dense attention on this process's device.
cpu::Tensors dense_on_device(const RunRequest& asked, Pass pass, Dtype dtype, Kernels kernels,
                             const cpu::Tensors& given, const Job& job) {
  RunOptions options;
  options.backend = asked.options.backend;
  options.kernels = kernels;
  options.warm_ups = 0;
  options.repeats = 1;
  options.timeout_s = kDenseSeconds;
  options.timed = false;
  Problem p = asked.problem();
  p.pass = pass;
  p.shape.dtype = dtype;
  return run(dense_schedule(p), given, options, Job::alone(job.local_rank())).outputs;
}

/// Inputs, rounded to their dtype, with what dense attention makes of them, pass by pass: in double on the CPU if that
/// takes seconds, else by the reference kernels on the device.
cpu::Tensors reference_of(const RunRequest& asked, Pass pass, cpu::Tensors t, const Job& job) {
  const Problem& p = asked.problem();
  const double work = flops(total_pairs(p), p.shape.head_dim, pass) * p.shape.heads * p.shape.batch;
  if (work < 4e9) {
    pass == Pass::kForward ? cpu::dense_forward(p.shape, p.mask, t) : cpu::dense_backward(p.shape, p.mask, t);
    return t;
  }
  cpu::Tensors made = dense_on_device(asked, pass, Dtype::kFp32, Kernels::kReference, t, job);
  for (auto part : {&cpu::Tensors::o, &cpu::Tensors::lse, &cpu::Tensors::dq, &cpu::Tensors::dk, &cpu::Tensors::dv})
    if (!(made.*part).empty()) t.*part = std::move(made.*part);
  return t;
}

PassRun run_pass(const RunRequest& asked, Pass pass, Schedule schedule, double plan_s, cpu::Tensors& tensors,
                 const Job& job) {
  if (const auto findings = verify(schedule); !findings.empty())
    throw InvalidSchedule("the schedule is wrong: " + text_of(findings));
  const Network network(asked.request.cluster, asked.placement);
  const CostModel cost(asked.request.cluster.gpu, schedule.problem);
  PassRun done;
  done.schedule = std::move(schedule);
  done.estimate_s = estimate(done.schedule, network, cost.times(done.schedule)).makespan_s;
  if (asked.check) {
    tensors = reference_of(asked, pass, std::move(tensors), job);
    job.barrier(gpu::deadline_in(kDenseSeconds));  // what follows has less time
  }
  done.result = run(done.schedule, tensors, asked.options, job);
  if (asked.check) {
    const auto compared = [&](const cpu::Tensors& is) {
      return deviations(done.schedule, done.result.served, is, tensors, job, gpu::deadline_in(kDenseSeconds));
    };
    done.deviations = compared(done.result.outputs);
    done.dense_deviations =
        compared(dense_on_device(asked, pass, asked.problem().shape.dtype, asked.options.kernels, tensors, job));
  }
  if (job.rank() == 0) done.summary = summarise(done.schedule, network, cost, done.result.trace, {plan_s, 0, 0});
  if (asked.check && pass == Pass::kForward) tensors = gpu::rounded(asked.problem().shape, std::move(tensors));
  return done;
}

/// All passes, in their order.
std::vector<PassRun> run_passes(RunRequest& asked, const Job& job) {
  const AttentionShape& shape = asked.problem().shape;
  const std::vector<Pass> passes = asked.request.question.passes;
  cpu::Tensors tensors;
  if (asked.check) tensors = gpu::rounded(shape, cpu::random_tensors(shape, asked.seed));
  if (asked.check && passes.front() == Pass::kBackward)
    tensors = gpu::rounded(shape, reference_of(asked, Pass::kForward, std::move(tensors), job));
  asked.options.use_tensors = asked.check;
  std::vector<PassRun> all;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const double begin_s = gpu::now_s();
    Schedule schedule = asked.schedule ? std::move(*asked.schedule)
                                       : make_plan(asked.passes[i], Network(asked.request.cluster, asked.placement),
                                                   CostModel(asked.request.cluster.gpu, asked.passes[i].problem))
                                             .schedule;
    all.push_back(run_pass(asked, passes[i], std::move(schedule), gpu::now_s() - begin_s, tensors, job));
  }
  return all;
}

/// Whether anything is rounded to 16 bits, partial results that travel included.
bool is_rounded(const Schedule& s) {
  return std::ranges::any_of(s.values, [](const Value& v) { return v.dtype != Dtype::kFp32; });
}

bool has_rounded_partials(const Schedule& s) {
  return std::ranges::any_of(s.transfers, [&](const Transfer& t) {
    const Value& sent = s.values[t.made];
    const bool is_made = s.problem.pass == Pass::kForward || sent.tensor != Tensor::kO;  // else O is an input
    return is_partial(sent.tensor) && is_made && sent.dtype != Dtype::kFp32;
  });
}

bool is_accurate(const PassRun& run) {
  return std::ranges::all_of(run.deviations, [&](const gpu::Deviation& d) { return is_accurate(d, run); });
}

}  // namespace

bool is_accurate(const gpu::Deviation& d, const PassRun& run) {
  constexpr double kNoise = 1e-5;  // of sums in fp32, in whatever order
  const double most = !is_rounded(run.schedule) ? 1e-4 : d.tensor.starts_with("d") ? 1e-2 : 3e-3;
  const auto dense = std::ranges::find(run.dense_deviations, d.tensor, &gpu::Deviation::tensor);
  if (dense == run.dense_deviations.end() || !std::isfinite(dense->relative)) return d.relative <= most;
  const double dense_deviation = std::max(1.1 * dense->relative, kNoise);
  if (d.expects_zero) return d.relative <= std::max(most, dense_deviation);
  return d.relative <= most && (d.relative <= dense_deviation || has_rounded_partials(run.schedule));
}

int measure(const boost::program_options::variables_map& given, const Report& report) {
  return gpu::in_job([&](const Job& job) {
    const std::string device = gpu::devices(read_backend(given)).description;
    RunRequest asked = read_run_request(given);
    if (job.rank() == 0) check_outputs({{"--json", asked.json}, {"--trace", asked.trace}});
    choose_transport(given, job, asked.options);
    std::vector<PassRun> passes = run_passes(asked, job);
    if (job.rank() != 0) return 0;
    const bool right = std::ranges::all_of(passes, [](const PassRun& pass) { return is_accurate(pass); });
    report(asked, std::move(passes), device, job.size());
    if (!right) spdlog::error("the results are further from dense attention than they may be");
    return right ? 0 : 1;
  });
}

}  // namespace meshattn
