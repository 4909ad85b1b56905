#include "experiments/measure/measure.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/execution/estimate.h"
#include "core/planner/plan.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/passes/verify/findings.h"
#include "gpu/base/deadline.h"
#include "gpu/kernels/value_conversion.h"

namespace meshattn {

namespace {

using gpu::Job;
using gpu::Kernels;
using gpu::RunOptions;

/// Limit for dense attention, which takes long, and differently long in each process.
constexpr double kDenseSeconds = 3600;

/// A whole problem on one rank: dense attention.
Schedule dense_schedule(Problem p) {
  p.ranks = p.cuts = 1;
  p.partition = Partition::kContiguous;
  Cluster one;  // its costs do not matter: there is nothing to choose
  one.gpu.attention_flops_per_s = 1;
  one.node.gpus = 1;
  return plan_phase(configure("ring", p, {}, 1), Network(one, 1), CostModel(one.gpu, p)).schedule;
}

/// Dense attention on this process's device.
cpu::Tensors dense_on_device(const RunRequest& request, Pass pass, Dtype dtype, Kernels kernels,
                             const cpu::Tensors& given, const Job& job) {
  RunOptions options;
  options.backend = request.options.backend;
  options.kernels = kernels;
  options.warm_ups = 0;
  options.repeats = 1;
  options.timeout_s = kDenseSeconds;
  options.timed = false;
  Problem p = request.problem();
  p.pass = pass;
  p.shape.dtype = dtype;
  return run(dense_schedule(p), given, options, Job::alone(job.local_rank())).outputs;
}

/// Inputs with the results of dense attention on them: in double on the CPU if that takes seconds, else by the
/// reference kernels on the device.
cpu::Tensors reference_of(const RunRequest& request, Pass pass, cpu::Tensors t, const Job& job) {
  const Problem& p = request.problem();
  const double work = flops(total_pairs(p), p.shape.head_dim, pass) * p.shape.heads * p.shape.batch;
  if (work < 4e9) {
    pass == Pass::kForward ? cpu::dense_forward(p.shape, p.mask, t) : cpu::dense_backward(p.shape, p.mask, t);
    return t;
  }
  cpu::Tensors made = dense_on_device(request, pass, Dtype::kFp32, Kernels::kReference, t, job);
  for (auto part : {&cpu::Tensors::o, &cpu::Tensors::lse, &cpu::Tensors::dq, &cpu::Tensors::dk, &cpu::Tensors::dv})
    if (!(made.*part).empty()) t.*part = std::move(made.*part);
  return t;
}

PassRun run_pass(const RunRequest& request, Pass pass, Schedule schedule, double plan_s, cpu::Tensors& tensors,
                 const Job& job) {
  if (const auto findings = verify(schedule); !findings.empty())
    throw InvalidSchedule("the schedule is wrong: " + findings_text(findings));
  const Network network(request.request.cluster, request.placement);
  const CostModel cost(request.request.cluster.gpu, schedule.problem);
  PassRun done;
  done.schedule = std::move(schedule);
  done.times = cost.times(done.schedule);
  done.estimate_s = estimate(done.schedule, network, done.times).makespan_s;
  if (request.check) {
    tensors = reference_of(request, pass, std::move(tensors), job);
    job.barrier(gpu::deadline_in(kDenseSeconds));  // the run that follows has a shorter limit
  }
  done.result = run(done.schedule, tensors, request.options, job);
  if (request.check) {
    const auto compared = [&](const cpu::Tensors& is) {
      return deviations(done.schedule, done.result.served, is, tensors, job, gpu::deadline_in(kDenseSeconds));
    };
    done.deviations = compared(done.result.outputs);
    done.dense_deviations =
        compared(dense_on_device(request, pass, request.problem().shape.dtype, request.options.kernels, tensors, job));
  }
  if (job.rank() == 0)
    done.summary = summarise(done.schedule, network, cost, done.times, done.result.trace, {plan_s, 0, 0});
  if (request.check && pass == Pass::kForward) tensors = gpu::rounded(request.problem().shape, std::move(tensors));
  return done;
}

/// All passes, in their order.
std::vector<PassRun> run_passes(RunRequest& request, const Job& job) {
  const AttentionShape& shape = request.problem().shape;
  const std::vector<Pass> passes = request.request.passes;
  cpu::Tensors tensors;
  if (request.check) tensors = gpu::rounded(shape, cpu::random_tensors(shape, request.seed));
  if (request.check && passes.front() == Pass::kBackward)
    tensors = gpu::rounded(shape, reference_of(request, Pass::kForward, std::move(tensors), job));
  request.options.use_tensors = request.check;
  std::vector<PassRun> all;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    Schedule schedule = std::move(request.schedule ? *request.schedule : request.plan->phases[i].schedule);
    const double plan_s = request.plan ? request.plan->phases[i].planning_s : 0;
    all.push_back(run_pass(request, passes[i], std::move(schedule), plan_s, tensors, job));
  }
  return all;
}

/// Whether anything is rounded to 16 bits, including partial results that travel.
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
  constexpr double kNoise = 1e-5;  // of fp32 sums in different orders
  const double most = !is_rounded(run.schedule) ? 1e-4 : d.tensor.starts_with("d") ? 1e-2 : 3e-3;
  const auto dense = std::ranges::find(run.dense_deviations, d.tensor, &gpu::Deviation::tensor);
  if (dense == run.dense_deviations.end() || !std::isfinite(dense->relative)) return d.relative <= most;
  const double dense_deviation = std::max(1.1 * dense->relative, kNoise);
  if (d.expects_zero) return d.relative <= std::max(most, dense_deviation);
  return d.relative <= most && (d.relative <= dense_deviation || has_rounded_partials(run.schedule));
}

int measure(RunRequest request, const Job& job, const std::function<void(Measurement)>& report) {
  std::vector<PassRun> passes = run_passes(request, job);
  if (job.rank() != 0) return 0;
  const bool accurate = std::ranges::all_of(passes, [](const PassRun& pass) { return is_accurate(pass); });
  report({std::move(request), std::move(passes), job.size()});
  if (!accurate) spdlog::error("the results deviate from dense attention by more than the limit");
  return accurate ? 0 : 1;
}

}  // namespace meshattn
