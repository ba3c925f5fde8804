using LlamaCluster.Model.Ranks;

namespace LlamaCluster.Model.Local;

/// <summary>The ranks of a tensor group as threads of one process, which meet at a barrier.</summary>
/// <param name="deadline">How long a rank waits for the others.</param>
public sealed class LocalRankGroup(int rankCount, TimeSpan deadline) : IDisposable
{
    readonly Barrier _barrier = new(rankCount);
    readonly LocalRank?[] _ranks = new LocalRank?[rankCount];

    public int RankCount => rankCount;

    /// <summary>One rank's end, for one thread; each is taken once.</summary>
    public IRankExchange Join(int rank) =>
        _ranks[rank] is null ? _ranks[rank] = new LocalRank(this, rank) : throw new InvalidOperationException($"rank {rank} has joined already");

    public void Dispose() => _barrier.Dispose();

    LocalRank Peer(int rank) => _ranks[rank] ?? throw new InvalidOperationException($"rank {rank} has not joined");

    void Meet(int rank)
    {
        if (!_barrier.SignalAndWait(deadline)) throw new RankLostException(-1, $"rank {rank} waited {deadline.TotalSeconds:0.##} s for the other ranks");
    }

    sealed class LocalRank(LocalRankGroup group, int rank) : IRankExchange
    {
        // A part is read until all ranks have completed its sum. A rank that begins one that many later has met all of them since.
        readonly float[][] _parts = [.. Enumerable.Repeat(Array.Empty<float>(), 2 * IRankExchange.MaxSumsUnderWay)];
        readonly byte[][] _messages = [[], []];
        long _begun;
        long _completed;
        long _gathered;

        public int Rank => rank;

        public int RankCount => group.RankCount;

        public void BeginSum(ReadOnlySpan<float> own)
        {
            if (_begun - _completed == IRankExchange.MaxSumsUnderWay) throw new InvalidOperationException($"{IRankExchange.MaxSumsUnderWay} sums are open");
            _parts[_begun++ % _parts.Length] = own.ToArray();
        }

        public void CompleteSum(Span<float> own)
        {
            if (_completed == _begun) throw new InvalidOperationException("no sum is open");
            group.Meet(rank);
            var part = _completed++ % _parts.Length;
            for (var r = 0; r < RankCount; r++)
            {
                var other = group.Peer(r)._parts[part];
                if (other.Length != own.Length) throw new RankLostException(r, $"rank {r} gave {other.Length} numbers, rank {rank} {own.Length}");
                for (var i = 0; i < own.Length; i++) own[i] = r == 0 ? other[i] : own[i] + other[i];
            }
        }

        public void AllGather(ReadOnlySpan<byte> own)
        {
            if (_completed != _begun) throw new InvalidOperationException("a sum is open");
            _messages[++_gathered % _messages.Length] = own.ToArray();
            group.Meet(rank);
        }

        public ReadOnlySpan<byte> Gathered(int rank) => group.Peer(rank)._messages[_gathered % _messages.Length];
    }
}
