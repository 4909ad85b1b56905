#pragma once

#include "core/schedule/schedule.h"

/// Published algorithms that are no tiles of a mesh. They know no costs and no links, prune nothing and assign no
/// memory; partials travel as `wire` and are summed in fp32. Volumes are chunks received by the average rank: g query
/// heads to a key/value head, w = 1 for partials in the problem's dtype and 2 for fp32 beside 16 bits.
namespace meshattn {

/// LightSeq (DistFlashAttn, arXiv 2310.03294): the balanced causal schedule over contiguous chunks. In step t = 0, 1,
/// …, ⌊n/2⌋ rank r ≥ t attends the keys of rank r − t, sent directly by their owner. The ranks r < t, who have none
/// left, help the last ones: r attends the queries of rank r + n − t to its own keys and returns the partial one step
/// later. With n even, ranks below n/2 rest in the last step (2t = n): there both would meet the same blocks. With n
/// odd nobody ever rests; the published code covers even n only. Backward the same blocks: KV comes and its dKV
/// returns, or Q, dO and delta come and dQ returns; O does not travel, its delta is made at home. Receives, n even:
///     forward   (3n − 2)/(4g) + (1 + w)(n − 2)/8;      backward   (1 + w)(3n − 2)/(4g) + (2 + w)(n − 2)/8
/// @throws InvalidInput unless the mask is causal, the partition contiguous and there are as many keys as queries.
[[nodiscard]] Schedule light_seq(const Problem& problem, Dtype wire);

/// Whether the square of a team divides the ranks.
[[nodiscard]] bool star_trail_fits(int team, int ranks);

/// StarTrail (WallFacer, arXiv 2407.00611) with teams of C neighbouring ranks. A team gathers its queries; C teams make
/// a square, in which rank c of a team gathers the keys of the square's team c, chunk by chunk from their owners (this
/// is the team's all-gather and the first placement in one). These C chunks then go from square to square, n/C² − 1
/// hops, so that the members of a team meet the keys of all teams; the owners of a team's rows receive their partial O
/// from its other members. Backward the sides change places: keys are gathered by the team and stay, as do their
/// gradients until they are scattered; Q, dO and delta go round, dQ follows one hop behind and ends with a hop home.
/// Receives
///     forward   (1 + w)(C − 1) + (2/g)(n − 1)/C;       backward   (2/g)(1 + w)(C − 1) + (2 + w)(n − 1)/C
/// @throws InvalidInput if C² does not divide the ranks.
[[nodiscard]] Schedule star_trail(const Problem& problem, int team, Dtype wire);

/// TASP (arXiv 2509.26541), forward: the keys of each rank are cut into n − 1 parts, of which part k goes round
/// Hamiltonian cycle k of `hamiltonian_cycles`; so each rank sends a part to every other in every one of the n − 1
/// hops. No partial travels. The schedule's problem has n − 1 cuts, whatever `problem` has. Receives 2(n − 1)/g, as
/// ring.
/// @throws InvalidInput on a backward pass, or where there are no such cycles.
[[nodiscard]] Schedule tasp(const Problem& problem);

}  // namespace meshattn
