namespace LlamaCluster.Model.Ranks;

/// <summary>
/// A rank of the tensor group is gone, silent for too long, or says what it cannot. The step cannot be completed, and the stage is of no use any more:
/// its sequences are half computed.
/// </summary>
/// <param name="rank">Which one, where it is known; else -1.</param>
/// <param name="message">One line.</param>
public sealed class RankLostException(int rank, string message, Exception? inner = null) : Exception(message, inner)
{
    public int Rank => rank;
}
