using System.Numerics;

namespace LlamaCluster.Coordinator.Sharing;

/// <summary>Some of the numbers 0..size-1, a bit each, of which the least is found quickly.</summary>
sealed class IndexSet(int size)
{
    const int WordBits = 64;

    readonly ulong[] _words = new ulong[(size + WordBits - 1) / WordBits];
    int _empty;   // words from the start that have no bit

    public int Count { get; private set; }

    /// <summary>The least number. There must be one.</summary>
    public int First
    {
        get
        {
            if (Count == 0) throw new InvalidOperationException("the set is empty");
            _empty += _words.AsSpan(_empty).IndexOfAnyExcept(0UL);
            return _empty * WordBits + BitOperations.TrailingZeroCount(_words[_empty]);
        }
    }

    public void Add(int number)
    {
        var (word, bit) = (number / WordBits, 1UL << (number % WordBits));
        if ((_words[word] & bit) != 0) return;
        _words[word] |= bit;
        _empty = Math.Min(_empty, word);
        Count++;
    }

    public void Remove(int number)
    {
        var (word, bit) = (number / WordBits, 1UL << (number % WordBits));
        if ((_words[word] & bit) == 0) return;
        _words[word] &= ~bit;
        Count--;
    }
}
