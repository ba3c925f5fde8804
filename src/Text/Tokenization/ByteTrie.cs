using System.Buffers;

namespace LlamaCluster.Text.Tokenization;

/// <summary>Finds the longest of a few thousand strings at a place of a text. Children are linked lists: a node has few.</summary>
sealed class ByteTrie
{
    const int None = -1;

    readonly List<Node> _nodes = [new(0)];
    SearchValues<byte> _firstBytes = SearchValues.Create(ReadOnlySpan<byte>.Empty);

    /// <summary>Of several values for one string the last is kept.</summary>
    public static ByteTrie Create(IEnumerable<(byte[] Text, int Value)> entries)
    {
        var trie = new ByteTrie();
        var firstBytes = new HashSet<byte>();
        foreach (var (text, value) in entries)
        {
            trie.Add(text, value);
            firstBytes.Add(text[0]);
        }
        trie._firstBytes = SearchValues.Create([.. firstBytes]);
        return trie;
    }

    /// <summary>Where the next entry could start; -1 if nowhere.</summary>
    public int FindStart(ReadOnlySpan<byte> text) => text.IndexOfAny(_firstBytes);

    /// <summary>The longest entry that the text starts with.</summary>
    public bool TryMatch(ReadOnlySpan<byte> text, out int length, out int value)
    {
        (length, value) = (0, None);
        var node = 0;
        for (var at = 0; at < text.Length && FindChild(node, text[at]) is not None and var child; at++)
        {
            node = child;
            if (_nodes[node].Value is not None and var found) (length, value) = (at + 1, found);
        }
        return length > 0;
    }

    void Add(ReadOnlySpan<byte> text, int value)
    {
        var node = 0;
        foreach (var label in text)
        {
            if (FindChild(node, label) is not None and var child)
            {
                node = child;
                continue;
            }
            _nodes.Add(new Node(label) { NextSibling = _nodes[node].FirstChild });
            _nodes[node] = _nodes[node] with { FirstChild = _nodes.Count - 1 };
            node = _nodes.Count - 1;
        }
        _nodes[node] = _nodes[node] with { Value = value };
    }

    int FindChild(int node, byte label)
    {
        var child = _nodes[node].FirstChild;
        while (child is not None && _nodes[child].Label != label) child = _nodes[child].NextSibling;
        return child;
    }

    readonly record struct Node(byte Label)
    {
        public int FirstChild { get; init; } = None;

        public int NextSibling { get; init; } = None;

        public int Value { get; init; } = None;
    }
}
