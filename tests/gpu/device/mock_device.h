#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/execution/cpu/reference.h"
#include "gpu/device/device.h"
#include "gpu/issue/calls.h"
#include "gpu/kernels/cpu_kernels.h"

namespace meshattn::testing {

/// A mock of devices: records the commands of streams, then executes them in a random order that streams and marks
/// allow, with the reference kernels. Memory begins as NaN, and an op fills the values that it is the first to make
/// with NaN when it begins. On a communicator the k-th receive from a rank gets that rank's k-th send once both have
/// begun; a group ends with the last of its messages. It is an error if a copy runs before the sender's exchange has
/// begun or after it ended.
class MockDevice : public gpu::Device {
 public:
  /// Runs a call on an arena.
  using Kernel = std::function<void(const gpu::Call& call, std::byte* arena)>;

  /// @param scratch bytes behind each arena, for kernels
  MockDevice(const Schedule& schedule, const cpu::Tensors& given, Kernel kernel = gpu::run_on_cpu,
             std::uint64_t scratch = 0);

  void launch(Rank rank, Lane lane, OpId op) override;
  void copy(Rank rank, Lane lane, const gpu::Message& message) override;
  void exchange(Rank rank, Lane lane, OpId op, std::span<const gpu::Message> messages) override;
  void mark(Rank rank, Lane lane, gpu::Mark mark) override;
  void wait(Rank rank, Lane lane, gpu::Mark mark) override;

  /// Leaves out the k-th of the `waits()` waits.
  void leave_out(std::size_t k) { left_out_ = k; }
  [[nodiscard]] std::size_t waits() const { return waits_; }

  /// Executes the recorded commands; `random` chooses the stream that takes the next step.
  /// @returns the error, or an empty text: a wait for a mark not recorded before, messages that do not match, a copy at
  /// the wrong time, a stream that is stuck
  [[nodiscard]] std::string run(std::mt19937& random);
  [[nodiscard]] cpu::Tensors outputs() const;

 private:
  struct Wait {
    gpu::Mark mark;
  };
  struct Work {
    std::function<void()> run;
  };
  struct Messages {
    std::vector<gpu::Message> messages;
  };
  using Step = std::variant<Wait, Work, Messages>;
  struct Stream {
    std::vector<Step> steps;
    std::size_t next = 0;
    bool begun = false;         ///< whether the next step is a group that has begun
    std::size_t unmatched = 0;  ///< messages of that group whose peers have not begun
  };
  using StreamId = std::pair<Rank, Lane>;
  using Channel = std::tuple<Lane, Rank, Rank>;  ///< communicator, from, to
  struct End {
    Stream* stream;
    gpu::Message message;
  };

  void pass(Rank rank, gpu::Mark mark);
  [[nodiscard]] std::byte* arena(Rank rank) { return arenas_[static_cast<std::size_t>(rank)].data(); }
  [[nodiscard]] bool may_step(const Stream& stream) const;
  void step(const StreamId& id, Stream& stream);
  void match(const Channel& channel);

  const Schedule& s_;
  Kernel kernel_;
  std::vector<gpu::Calls> calls_;
  std::vector<std::vector<std::byte>> arenas_;
  std::map<StreamId, Stream> streams_;
  std::set<gpu::Mark> given_, passed_;
  std::map<Channel, std::vector<End>> sends_, receives_;
  std::vector<OpId> sender_;            ///< by transfer
  std::vector<OpId> first_maker_;       ///< by value
  std::vector<std::uint64_t> arrived_;  ///< by transfer: bytes
  std::size_t waits_ = 0, left_out_ = SIZE_MAX;
  std::string problem_;
};

}  // namespace meshattn::testing
