using System.Runtime.InteropServices;

namespace LlamaCluster.Text.Grammars.Matching;

/// <summary>
/// Texts of tokens as a tree of bytes, in an order that is walked from front to back: a node stands before its children, and knows where the
/// next node that is not below it stands. Immutable.
/// </summary>
sealed class TokenTrie
{
    readonly Node[] _nodes;
    readonly int[] _ids;

    TokenTrie(Node[] nodes, int[] ids, int depth) => (_nodes, _ids, Depth) = (nodes, ids, depth);

    public ReadOnlySpan<Node> Nodes => _nodes;

    /// <summary>Bytes of the longest text.</summary>
    public int Depth { get; }

    public int TokenCount => _ids.Length;

    public long Bytes => (_nodes.LongLength * Marshal.SizeOf<Node>()) + (_ids.LongLength * sizeof(int));

    /// <summary>The tokens whose text ends at a node.</summary>
    public ReadOnlySpan<int> IdsAt(int node) => _ids.AsSpan(_nodes[node].FirstId..FirstIdOf(node + 1));

    /// <summary>The tokens that go on behind a node.</summary>
    public ReadOnlySpan<int> IdsBelow(int node) => _ids.AsSpan(FirstIdOf(node + 1)..FirstIdOf(_nodes[node].Next));

    /// <param name="tokens">Texts, none of them empty, in the order of their bytes.</param>
    public static TokenTrie Of(IEnumerable<(ReadOnlyMemory<byte> Text, int Id)> tokens)
    {
        var builder = new Builder();
        ReadOnlyMemory<byte> before = default;
        foreach (var (text, id) in tokens)
        {
            var common = text.Span.CommonPrefixLength(before.Span);
            builder.CloseTo(common);
            foreach (var value in text.Span[common..]) builder.Open(value);
            builder.Add(id);
            before = text;
        }
        return builder.Build();
    }

    /// <summary>What follows behind a node.</summary>
    public TokenTrie Below(int node)
    {
        var (above, depth, first) = (_nodes[node].Depth, 0, node + 1);
        var nodes = new Node[_nodes[node].Next - first];
        for (var i = 0; i < nodes.Length; i++)
        {
            var below = _nodes[first + i];
            nodes[i] = new Node(below.Value, below.Depth - above, below.Next - first, below.FirstId - FirstIdOf(first));
            depth = Math.Max(depth, nodes[i].Depth);
        }
        return new TokenTrie(nodes, [.. IdsBelow(node)], depth);
    }

    /// <summary>What follows behind some nodes of a trie, put together.</summary>
    /// <param name="keep">Whether a token is taken over.</param>
    public static TokenTrie Below(TokenTrie trie, IReadOnlyList<int> nodes, Func<int, bool> keep)
    {
        var builder = new Builder();
        builder.Merge(trie, nodes, keep);
        return builder.Build();
    }

    int FirstIdOf(int node) => node < _nodes.Length ? _nodes[node].FirstId : _ids.Length;

    /// <param name="Value">The byte that leads to the node.</param>
    /// <param name="Depth">How many bytes lead to it: at least 1.</param>
    /// <param name="Next">The next node that is not below this one.</param>
    public readonly record struct Node(byte Value, int Depth, int Next, int FirstId);

    sealed class Builder
    {
        readonly List<Node> _nodes = [];
        readonly List<int> _ids = [];
        readonly Stack<int> _path = [];
        int _depth;

        public void Open(byte value)
        {
            _path.Push(_nodes.Count);
            _nodes.Add(new Node(value, _path.Count, 0, _ids.Count));
            _depth = Math.Max(_depth, _path.Count);
        }

        public void Add(int id) => _ids.Add(id);

        public void CloseTo(int depth)
        {
            while (_path.Count > depth) Close();
        }

        /// <summary>Adds below the open node what is below all of these nodes.</summary>
        public void Merge(TokenTrie trie, IReadOnlyList<int> nodes, Func<int, bool> keep)
        {
            var children = new List<(byte Value, int Node)>();
            foreach (var node in nodes)
                for (var child = node + 1; child < trie._nodes[node].Next; child = trie._nodes[child].Next) children.Add((trie._nodes[child].Value, child));
            children.Sort();
            for (var i = 0; i < children.Count;)
            {
                var same = new List<int>();
                var value = children[i].Value;
                for (; i < children.Count && children[i].Value == value; i++) same.Add(children[i].Node);
                var (nodeCount, idCount) = (_nodes.Count, _ids.Count);
                Open(value);
                foreach (var node in same)
                    foreach (var id in trie.IdsAt(node))
                        if (keep(id)) _ids.Add(id);
                Merge(trie, same, keep);
                Close();
                // Without a token in it, it is of no use.
                if (_ids.Count == idCount) _nodes.RemoveRange(nodeCount, _nodes.Count - nodeCount);
            }
        }

        public TokenTrie Build()
        {
            CloseTo(0);
            return new TokenTrie([.. _nodes], [.. _ids], _depth);
        }

        void Close()
        {
            var node = _path.Pop();
            _nodes[node] = _nodes[node] with { Next = _nodes.Count };
        }
    }
}
