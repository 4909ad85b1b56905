#include <spdlog/fmt/fmt.h>

#include <string>

#include "core/algorithms/chunks.h"
#include "core/algorithms/others.h"
#include "core/error.h"

namespace meshattn {

namespace {

/// Values of the chunks of one team, by rank.
using TeamByRank = std::vector<std::vector<ValueId>>;

class StarTrailGenerator {
 public:
  StarTrailGenerator(const Problem& problem, int team, Dtype wire)
      : b_(problem), wire_(wire), ranks_(problem.ranks), team_(team), square_(team * team) {}

  Schedule run();

 private:
  [[nodiscard]] bool backward() const { return b_.problem().pass == Pass::kBackward; }
  [[nodiscard]] std::size_t laps() const { return static_cast<std::size_t>(ranks_ / square_); }
  /// First rank of the team that r is in.
  [[nodiscard]] Rank own_team(Rank r) const { return r / team_ * team_; }
  /// First rank of the team whose chunks r has before the first hop: that of r's number in its team.
  [[nodiscard]] Rank first_met(Rank r) const { return r / square_ * square_ + r % team_ * team_; }
  /// Down, so that under a causal mask keys meet the queries that see most of them first and can be cut on the way.
  [[nodiscard]] Rank next(Rank r) const { return (r + ranks_ - square_) % ranks_; }

  template <typename FirstOf>
  TeamByRank gather(const ByRank& own, FirstOf&& first_of);
  TeamByRank hop(const TeamByRank& team, std::vector<TransferId>& sent);
  TeamByRank sums_of(Tensor tensor, const TeamByRank& like);
  void move_all();
  void compute(std::size_t lap);
  std::vector<TransferId> hop_sums(std::size_t lap);
  void finish_moving_sums();
  template <typename FirstOf>
  void scatter(const TeamByRank& sums, FirstOf&& first_of);

  ScheduleBuilder b_;
  Dtype wire_;
  int ranks_, team_, square_;
  std::vector<std::vector<TransferId>> arriving_;  ///< [lap]: what moves in before it
  TeamByRank staying_;                             ///< Q; backward KV
  TeamByRank staying_sums_;                        ///< O; backward dKV
  std::vector<std::vector<TeamByRank>> moving_;    ///< [lap]: KV; backward Q, dO, delta
  std::vector<TeamByRank> moving_sums_;            ///< [lap]: backward dQ of the rows met there
  TeamByRank arrived_;                             ///< dQ received with the last hop
};

/// Each rank receives the chunks of the team that begins at first_of(rank) from their owners, before lap 0.
template <typename FirstOf>
TeamByRank StarTrailGenerator::gather(const ByRank& own, FirstOf&& first_of) {
  TeamByRank held(own.size());
  for (Rank r = 0; r < ranks_; ++r)
    for (Rank owner = first_of(r); owner < first_of(r) + team_; ++owner) {
      ValueId chunk = own[static_cast<std::size_t>(owner)];
      if (owner != r) {
        arriving_[0].push_back(b_.transfer(chunk, r, kOnlyLane));
        chunk = b_.made(arriving_[0].back());
      }
      held[static_cast<std::size_t>(r)].push_back(chunk);
    }
  return held;
}

/// Every rank sends its team's values to the next one. @returns what it receives.
TeamByRank StarTrailGenerator::hop(const TeamByRank& team, std::vector<TransferId>& sent) {
  TeamByRank received(team.size());
  for (Rank r = 0; r < ranks_; ++r)
    for (ValueId v : team[static_cast<std::size_t>(r)]) {
      sent.push_back(b_.transfer(v, next(r), kOnlyLane));
      received[static_cast<std::size_t>(next(r))].push_back(b_.made(sent.back()));
    }
  return received;
}

TeamByRank StarTrailGenerator::sums_of(Tensor tensor, const TeamByRank& like) {
  TeamByRank sums;
  for (Rank r = 0; r < ranks_; ++r) {
    std::vector<ValueId>& of_rank = sums.emplace_back();
    for (ValueId v : like[static_cast<std::size_t>(r)])
      of_rank.push_back(b_.declare(r, tensor, b_.value(v).region, Dtype::kFp32));
  }
  return sums;
}

void StarTrailGenerator::move_all() {
  const auto own_team = [this](Rank r) { return this->own_team(r); };
  const auto first_met = [this](Rank r) { return this->first_met(r); };
  arriving_.resize(laps() + 1);
  moving_.resize(laps());
  const ByRank q = own_chunks(b_, Tensor::kQ), kv = own_chunks(b_, Tensor::kKV);
  staying_ = gather(backward() ? kv : q, own_team);
  moving_[0].push_back(gather(backward() ? q : kv, first_met));
  if (backward()) {
    const ByRank d_o = own_chunks(b_, Tensor::kDO);
    moving_[0].push_back(gather(d_o, first_met));
    moving_[0].push_back(gather(own_deltas(b_, d_o), first_met));
  }
  for (std::size_t lap = 1; lap < laps(); ++lap)
    for (const TeamByRank& team : moving_[lap - 1]) moving_[lap].push_back(hop(team, arriving_[lap]));
  staying_sums_ = sums_of(backward() ? Tensor::kDKV : Tensor::kO, staying_);
  for (std::size_t lap = 0; lap < laps() && backward(); ++lap)
    moving_sums_.push_back(sums_of(Tensor::kDQ, moving_[lap].front()));
}

/// Every rank attends the C chunks that it keeps with the C chunks that it has met, as one rectangle.
void StarTrailGenerator::compute(std::size_t lap) {
  const auto team = static_cast<std::size_t>(team_);
  for (std::size_t r = 0; r < staying_.size(); ++r) {
    const auto met = [&](std::size_t tensor) -> const auto& { return moving_[lap][tensor][r]; };
    if (backward()) {
      std::vector<BackwardRow> rows;
      std::vector<BackwardColumn> columns;
      for (std::size_t i = 0; i < team; ++i) {
        rows.push_back({met(0)[i], met(1)[i], met(2)[i], moving_sums_[lap][r][i]});
        columns.push_back({staying_[r][i], staying_sums_[r][i]});
      }
      b_.attend_backward(static_cast<Rank>(r), rows, columns);
    } else {
      std::vector<AttendRow> rows;
      for (std::size_t i = 0; i < team; ++i) rows.push_back({staying_[r][i], staying_sums_[r][i]});
      b_.attend(static_cast<Rank>(r), rows, met(0));
    }
  }
}

/// Sends on the dQ of the rows met in a lap ≥ 1, which begins with the first rank that they reach after their start.
std::vector<TransferId> StarTrailGenerator::hop_sums(std::size_t lap) {
  TeamByRank partials = moving_sums_[lap];
  for (std::size_t r = 0; r < partials.size(); ++r)
    for (std::size_t i = 0; i < partials[r].size(); ++i)
      partials[r][i] = lap == 1 ? as_wire(b_, partials[r][i], wire_)
                                : b_.combine(std::vector{arrived_[r][i], partials[r][i]}, wire_);
  std::vector<TransferId> sent;
  arrived_ = hop(partials, sent);
  return sent;
}

/// Adds what went round to the sums of lap 0, where it started; as wire where it has to go home from there.
void StarTrailGenerator::finish_moving_sums() {
  for (Rank r = 0; r < ranks_ && laps() > 1; ++r)
    for (Rank i = 0; i < team_; ++i) {
      ValueId& sum = moving_sums_[0][static_cast<std::size_t>(r)][static_cast<std::size_t>(i)];
      const ValueId arrived = arrived_[static_cast<std::size_t>(r)][static_cast<std::size_t>(i)];
      sum = b_.combine(std::vector{arrived, sum}, first_met(r) + i == r ? Dtype::kFp32 : wire_);
    }
}

/// Every rank sends its sums to the owners of the team that begins at first_of(rank), who merge what they receive.
template <typename FirstOf>
void StarTrailGenerator::scatter(const TeamByRank& sums, FirstOf&& first_of) {
  std::vector<TransferId> sent;
  TeamByRank home(sums.size());
  for (Rank r = 0; r < ranks_; ++r)
    for (Rank i = 0; i < team_; ++i) {
      const Rank owner = first_of(r) + i;
      ValueId sum = sums[static_cast<std::size_t>(r)][static_cast<std::size_t>(i)];
      if (owner != r) {
        sent.push_back(b_.transfer(as_wire(b_, sum, wire_), owner, kOnlyLane));
        sum = b_.made(sent.back());
      }
      home[static_cast<std::size_t>(owner)].push_back(sum);
    }
  b_.exchange_all(sent);
  for (const auto& of_owner : home) hand_out(b_, of_owner);
}

Schedule StarTrailGenerator::run() {
  move_all();
  b_.exchange_all(arriving_[0]);
  for (std::size_t lap = 0; lap < laps(); ++lap) {
    std::vector<TransferId> exchanged = arriving_[lap + 1];
    if (backward() && lap > 1) {
      const std::vector<TransferId> behind = hop_sums(lap - 1);
      exchanged.insert(exchanged.end(), behind.begin(), behind.end());
    }
    b_.exchange_all(exchanged);
    compute(lap);
  }
  if (backward()) {
    if (laps() > 1) b_.exchange_all(hop_sums(laps() - 1));
    finish_moving_sums();
    scatter(moving_sums_[0], [this](Rank r) { return first_met(r); });
  }
  scatter(staying_sums_, [this](Rank r) { return own_team(r); });
  return b_.finish();
}

}  // namespace

Schedule star_trail(const Problem& problem, int team, Dtype wire) {
  check(problem);
  const auto fits = [&](int c) { return problem.ranks % (c * c) == 0; };
  if (team < 1 || team > problem.ranks / team || !fits(team)) {
    std::string possible;
    for (int c = 1; c <= problem.ranks / c; ++c)
      if (fits(c)) possible += fmt::format("{}{}", possible.empty() ? "" : ", ", c);
    throw InvalidInput(
        fmt::format("teams of {} do not fit {} ranks: the square of a team must divide the ranks; possible are {}",
                    team, problem.ranks, possible));
  }
  return StarTrailGenerator(problem, team, wire).run();
}

}  // namespace meshattn
