using System.Collections.Concurrent;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>
/// What prompts began with that each replica has computed of late. A prompt is known by marks: of every 64 positions from its beginning, 64 bits of the key
/// that the KV blocks have there. A replica may have given up what is known of it here, and have more than is known: a guess that is wrong costs time only.
/// Safe for concurrent use.
/// </summary>
sealed class KnownPrefixes
{
    /// <summary>Positions between two marks.</summary>
    public const int Stride = BlocksApart * KvBlock.Positions;

    /// <summary>Marks of one prompt: those of its first 131,072 positions.</summary>
    const int MostMarks = 2048;

    const int BlocksApart = 4;

    /// <summary>Marks of a replica that are remembered: at least so many, at most twice as many.</summary>
    const int Remembered = 32_768;

    readonly ConcurrentDictionary<string, Memory> _replicas = [];

    /// <summary>The marks of a prompt, from its beginning on.</summary>
    /// <param name="keys">Known.</param>
    public static ulong[] MarksOf(PromptKeys keys)
    {
        var ends = keys.Ends;
        var marks = new ulong[Math.Min(MostMarks, (ends.Length - 1) / BlocksApart)];
        for (var i = 0; i < marks.Length; i++) marks[i] = (ulong)ends[(i + 1) * BlocksApart].Low;
        return marks;
    }

    /// <summary>The replica computes, or has computed, what these marks stand for.</summary>
    public void Note(string replica, ReadOnlySpan<ulong> marks) => _replicas.GetOrAdd(replica, static _ => new Memory()).Note(marks);

    /// <summary>The replica has lost all its KV.</summary>
    public void Forget(string replica) => _replicas.TryRemove(replica, out _);

    /// <summary>How many positions of a prompt the replica is known to have.</summary>
    public int PositionsOf(string replica, ReadOnlySpan<ulong> marks) => _replicas.TryGetValue(replica, out var memory) ? memory.CountOf(marks) * Stride : 0;

    /// <summary>Two generations of marks: when the young one is full, it becomes the old one, and what was not seen since then is forgotten.</summary>
    sealed class Memory
    {
        readonly Lock _lock = new();
        HashSet<ulong> _young = [];
        HashSet<ulong> _old = [];

        public void Note(ReadOnlySpan<ulong> marks)
        {
            lock (_lock)
                foreach (var mark in marks)
                {
                    _young.Add(mark);
                    if (_young.Count >= Remembered) (_old, _young) = (_young, []);
                }
        }

        /// <summary>The prefix is as long as its last mark that is known: where a later one is, the earlier ones are too.</summary>
        public int CountOf(ReadOnlySpan<ulong> marks)
        {
            lock (_lock)
                for (var count = marks.Length; count > 0; count--)
                    if (_young.Contains(marks[count - 1]) || _old.Contains(marks[count - 1])) return count;
            return 0;
        }
    }
}

/// <summary>
/// Marks that this coordinator's replica has got lately, for the others to hear of. Each reader has its own place; one that is too far behind misses some.
/// Safe for concurrent use.
/// </summary>
sealed class PrefixNews
{
    const int Kept = 1 << 14;

    readonly Lock _lock = new();
    ulong[] _marks = [];
    long _count;

    public void Add(ReadOnlySpan<ulong> marks)
    {
        lock (_lock)
        {
            if (_marks.Length == 0) _marks = new ulong[Kept];
            foreach (var mark in marks) _marks[_count++ % Kept] = mark;
        }
    }

    /// <summary>What has come since the place that the reader was at.</summary>
    /// <param name="place">0 at first; moved on.</param>
    public List<ulong> Read(ref long place, int most)
    {
        lock (_lock)
        {
            place = Math.Max(place, _count - Kept);
            List<ulong> read = new((int)Math.Min(most, _count - place));
            while (read.Count < most && place < _count) read.Add(_marks[place++ % Kept]);
            return read;
        }
    }
}
