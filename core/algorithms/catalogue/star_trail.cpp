#include <spdlog/fmt/fmt.h>

#include <string>
#include <vector>

#include "core/algorithms/choose.h"
#include "core/algorithms/chunks.h"
#include "core/base/error.h"

namespace meshattn::catalogue {

namespace {

/// Values of the chunks of one team, by rank.
using TeamByRank = std::vector<std::vector<ValueId>>;

class StarTrailGenerator {
 public:
  StarTrailGenerator(const Problem& problem, int team, Dtype wire);

  Schedule run();

 private:
  [[nodiscard]] bool backward() const { return b_.problem().pass == Pass::kBackward; }

  TeamByRank gather(const ByRank& own, const std::vector<Rank>& first_of);
  TeamByRank hop(const TeamByRank& team, std::vector<TransferId>& sent);
  TeamByRank sums_of(Tensor tensor, const TeamByRank& like);
  void move_all();
  void compute(std::size_t lap);
  std::vector<TransferId> hop_sums(std::size_t lap);
  void end_at_first_met();
  void scatter(const TeamByRank& sums, const std::vector<Rank>& first_of);

  ScheduleBuilder b_;
  const Dtype wire_;
  const std::size_t team_, laps_;
  std::vector<Rank> next_;                         ///< by rank: where its moving chunks go
  std::vector<Rank> own_team_;                     ///< by rank: first of its team
  std::vector<Rank> first_met_;                    ///< by rank: first of the team whose chunks it has before any hop
  std::vector<std::vector<TransferId>> arriving_;  ///< [lap]: what moves in before it
  TeamByRank staying_;                             ///< Q; backward KV
  TeamByRank staying_sums_;                        ///< O; backward dKV
  std::vector<std::vector<TeamByRank>> moving_;    ///< [lap]: KV; backward Q, dO, delta
  std::vector<TeamByRank> moving_sums_;            ///< [lap]: backward dQ of the rows met there
  TeamByRank arrived_;                             ///< dQ received with the last hop
};

/// Chunks move down the squares, so that under a causal mask keys meet the queries that see most of them first and can
/// be cut on the way.
StarTrailGenerator::StarTrailGenerator(const Problem& problem, int team, Dtype wire)
    : b_(problem),
      wire_(wire),
      team_(static_cast<std::size_t>(team)),
      laps_(static_cast<std::size_t>(problem.ranks / (team * team))),
      arriving_(laps_ + 1),
      moving_(laps_) {
  const int square = team * team;
  for (Rank r = 0; r < problem.ranks; ++r) {
    next_.push_back((r + problem.ranks - square) % problem.ranks);
    own_team_.push_back(r / team * team);
    first_met_.push_back(r / square * square + r % team * team);
  }
}

/// Before lap 0, each rank receives the chunks of a team from their owners.
TeamByRank StarTrailGenerator::gather(const ByRank& own, const std::vector<Rank>& first_of) {
  TeamByRank held(own.size());
  for (std::size_t r = 0; r < own.size(); ++r)
    for (std::size_t i = 0; i < team_; ++i) {
      const std::size_t owner = static_cast<std::size_t>(first_of[r]) + i;
      held[r].push_back(own[owner]);
      if (owner == r) continue;
      arriving_[0].push_back(b_.transfer(own[owner], static_cast<Rank>(r), kOnlyLane));
      held[r].back() = b_.made(arriving_[0].back());
    }
  return held;
}

/// Every rank sends its team's values to the next one. @returns what it receives.
TeamByRank StarTrailGenerator::hop(const TeamByRank& team, std::vector<TransferId>& sent) {
  TeamByRank received(team.size());
  for (std::size_t r = 0; r < team.size(); ++r)
    for (ValueId v : team[r]) {
      sent.push_back(b_.transfer(v, next_[r], kOnlyLane));
      received[static_cast<std::size_t>(next_[r])].push_back(b_.made(sent.back()));
    }
  return received;
}

TeamByRank StarTrailGenerator::sums_of(Tensor tensor, const TeamByRank& like) {
  TeamByRank sums = like;
  for (std::vector<ValueId>& of_rank : sums)
    for (ValueId& v : of_rank) v = b_.declare(b_.value(v).rank, tensor, b_.value(v).region, Dtype::kFp32);
  return sums;
}

void StarTrailGenerator::move_all() {
  const ByRank q = own_chunks(b_, Tensor::kQ), kv = own_chunks(b_, Tensor::kKV);
  staying_ = gather(backward() ? kv : q, own_team_);
  moving_[0].push_back(gather(backward() ? q : kv, first_met_));
  if (backward()) {
    const ByRank d_o = own_chunks(b_, Tensor::kDO);
    moving_[0].push_back(gather(d_o, first_met_));
    moving_[0].push_back(gather(own_deltas(b_, d_o), first_met_));
  }
  for (std::size_t lap = 1; lap < laps_; ++lap)
    for (const TeamByRank& team : moving_[lap - 1]) moving_[lap].push_back(hop(team, arriving_[lap]));
  staying_sums_ = sums_of(backward() ? Tensor::kDKV : Tensor::kO, staying_);
  for (std::size_t lap = 0; lap < laps_ && backward(); ++lap)
    moving_sums_.push_back(sums_of(Tensor::kDQ, moving_[lap].front()));
}

/// Every rank attends the C chunks that it keeps with the C chunks that it has met, as one rectangle.
void StarTrailGenerator::compute(std::size_t lap) {
  for (std::size_t r = 0; r < staying_.size(); ++r) {
    const auto met = [&](std::size_t tensor) -> const auto& { return moving_[lap][tensor][r]; };
    if (backward()) {
      std::vector<BackwardRow> rows;
      std::vector<BackwardColumn> columns;
      for (std::size_t i = 0; i < team_; ++i) {
        rows.push_back({met(0)[i], met(1)[i], met(2)[i], moving_sums_[lap][r][i]});
        columns.push_back({staying_[r][i], staying_sums_[r][i]});
      }
      b_.attend_backward(static_cast<Rank>(r), rows, columns);
    } else {
      std::vector<AttendRow> rows;
      for (std::size_t i = 0; i < team_; ++i) rows.push_back({staying_[r][i], staying_sums_[r][i]});
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
void StarTrailGenerator::end_at_first_met() {
  for (std::size_t r = 0; r < arrived_.size(); ++r)
    for (std::size_t i = 0; i < team_; ++i) {
      ValueId& sum = moving_sums_[0][r][i];
      const bool home = static_cast<std::size_t>(first_met_[r]) + i == r;
      sum = b_.combine(std::vector{arrived_[r][i], sum}, home ? Dtype::kFp32 : wire_);
    }
}

/// Every rank sends its sums to the owners in a team, who merge what they receive.
void StarTrailGenerator::scatter(const TeamByRank& sums, const std::vector<Rank>& first_of) {
  std::vector<TransferId> sent;
  TeamByRank home(sums.size());
  for (std::size_t r = 0; r < sums.size(); ++r)
    for (std::size_t i = 0; i < team_; ++i) {
      const std::size_t owner = static_cast<std::size_t>(first_of[r]) + i;
      home[owner].push_back(sums[r][i]);
      if (owner == r) continue;
      sent.push_back(b_.transfer(as_wire(b_, sums[r][i], wire_), static_cast<Rank>(owner), kOnlyLane));
      home[owner].back() = b_.made(sent.back());
    }
  b_.exchange_all(sent);
  for (const auto& of_owner : home) hand_out(b_, of_owner);
}

Schedule StarTrailGenerator::run() {
  move_all();
  b_.exchange_all(arriving_[0]);
  for (std::size_t lap = 0; lap < laps_; ++lap) {
    std::vector<TransferId> exchanged = arriving_[lap + 1];
    if (backward() && lap > 1) {
      const std::vector<TransferId> behind = hop_sums(lap - 1);
      exchanged.insert(exchanged.end(), behind.begin(), behind.end());
    }
    b_.exchange_all(exchanged);
    compute(lap);
  }
  if (backward()) {
    if (laps_ > 1) b_.exchange_all(hop_sums(laps_ - 1));
    end_at_first_met();
    scatter(moving_sums_[0], first_met_);
  }
  scatter(staying_sums_, own_team_);
  return b_.finish();
}

/// Whether the square of a team divides the ranks.
bool fits(int team, int ranks) { return team >= 1 && team <= ranks / team && ranks % (team * team) == 0; }

Schedule generate(const Configuration& c, std::span<const TileStep>) {
  check(c.problem);
  const int team = c.form.tile.rows, ranks = c.problem.ranks;
  if (!fits(team, ranks))
    throw InvalidInput(
        fmt::format("teams of {} do not fit {} ranks: the square of a team must divide the ranks", team, ranks));
  return StarTrailGenerator(c.problem, team, c.wire).run();
}

MeshForm form(const FormRequest& request) {
  const int ranks = request.problem.ranks;
  std::vector<Tile> tiles = tiles_of(ranks);
  std::erase_if(tiles, [&](Tile tile) { return !fits(tile.rows, ranks); });
  return {.tile = given_tile(request, tiles), .steps = Steps::kOwn};
}

std::vector<Options> variants(const Problem& problem, const Options& given) {
  if (given.tile) return {given};
  std::vector<Options> all = with_each_tile(given, problem.ranks);
  std::erase_if(all, [&](const Options& options) { return !fits(options.tile->rows, problem.ranks); });
  return all.empty() ? std::vector{given} : all;
}

}  // namespace

/// StarTrail (WallFacer) with teams of C neighbouring ranks; C is the tile's number of rows. A team gathers its
/// queries; C teams make a square, in which rank c of a team gathers the keys of the square's team c, chunk by chunk
/// from their owners (this is the team's all-gather and the first placement in one). These C chunks then go from square
/// to square, n/C² − 1 hops, so that the members of a team meet the keys of all teams; the owners of a team's rows
/// receive their partial O from its other members. Backward, keys are gathered by the team and stay, as do their
/// gradients until they are scattered; Q, dO and delta go round, dQ follows one hop behind and ends with a hop home.
///
/// Chunks received by the average rank (g query heads to a key/value head; w = 1 for partials in the problem's dtype, 2
/// for fp32 beside 16 bits):
///     forward   (1 + w)(C − 1) + (2/g)(n − 1)/C;       backward   (2/g)(1 + w)(C − 1) + (2 + w)(n − 1)/C
Algorithm star_trail() {
  return {.name = "star-trail",
          .summary = "StarTrail: teams of A gather, team-KV in sub-rings (arXiv 2407.00611); the volume of tile AxB",
          .options = {Option::kTile},
          .form = form,
          .generate = generate,
          .variants = variants};
}

}  // namespace meshattn::catalogue
