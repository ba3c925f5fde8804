namespace LlamaCluster.Text.Grammars;

/// <summary>Compiled grammars by their source, and refusals too: clients send the same ones again and again. Safe for concurrent use.</summary>
public sealed class GrammarCache
{
    /// <summary>Grammars that are kept; of more, those that were not asked for longest go.</summary>
    const int Most = 64;

    readonly Lock _lock = new();
    readonly Dictionary<GrammarSource, LinkedListNode<(GrammarSource Source, GrammarCompilation Compiled)>> _known = [];
    readonly LinkedList<(GrammarSource Source, GrammarCompilation Compiled)> _byUse = [];

    public GrammarCompilation Compile(GrammarSource source)
    {
        lock (_lock)
            if (_known.TryGetValue(source, out var found))
            {
                _byUse.Remove(found);
                _byUse.AddFirst(found);
                return found.Value.Compiled;
            }
        var compiled = GrammarCompiler.Compile(source);
        lock (_lock)
        {
            if (_known.ContainsKey(source)) return compiled;
            _known.Add(source, _byUse.AddFirst((source, compiled)));
            if (_known.Count <= Most) return compiled;
            _known.Remove(_byUse.Last!.Value.Source);
            _byUse.RemoveLast();
        }
        return compiled;
    }
}
