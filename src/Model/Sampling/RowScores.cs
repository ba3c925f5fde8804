using System.Runtime.InteropServices;

namespace LlamaCluster.Model.Sampling;

/// <summary>What one rank says of its ids for one row of logits; as it travels between ranks, little-endian, before the ids that it counts.</summary>
/// <param name="MaxLogit">The greatest; NaN where not all are finite.</param>
/// <param name="LogitSum">The sum of e^(logit - MaxLogit); 0 where no log-probability is asked for.</param>
/// <param name="MaxScore">The greatest after penalties, bias and mask; -infinity where none of the ids is allowed.</param>
/// <param name="ScoreSum">The sum of e^((score - MaxScore) / temperature); 0 where it does not matter.</param>
/// <param name="Chosen">The lowest id with the greatest score; where the token is known, that one or none.</param>
/// <param name="TopCount">Ids with the greatest logits that follow, best first.</param>
/// <param name="CandidateCount">Ids that follow then: all that may be drawn where scores are filtered; ascending, or with top_k maybe best first.</param>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
readonly record struct RowScores(
    float MaxLogit, float LogitSum, float MaxScore, float ScoreSum, ScoredId Chosen, int TopCount, int CandidateCount);
