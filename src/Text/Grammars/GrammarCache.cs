namespace LlamaCluster.Text.Grammars;

/// <summary>Compiled grammars by their source, and refusals too: clients send the same ones again and again. Safe for concurrent use.</summary>
/// <param name="mostBytes">What is kept with the sources, about; of more, those that were not asked for longest go.</param>
public sealed class GrammarCache(long mostBytes = GrammarCache.UsualBytes)
{
    const long UsualBytes = 32 << 20;

    readonly Lock _lock = new();
    readonly Dictionary<GrammarSource, LinkedListNode<Entry>> _known = [];
    readonly LinkedList<Entry> _byUse = [];
    long _bytes;

    /// <summary>What is kept.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _known.Count;
        }
    }

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
        var entry = new Entry(source, compiled, 200 + (source.Text.Length * (long)sizeof(char)) + (compiled.Grammar?.Bytes ?? 0));
        lock (_lock)
        {
            if (_known.ContainsKey(source) || entry.Bytes > mostBytes) return compiled;
            _known.Add(source, _byUse.AddFirst(entry));
            for (_bytes += entry.Bytes; _bytes > mostBytes; _byUse.RemoveLast())
            {
                _known.Remove(_byUse.Last!.Value.Source);
                _bytes -= _byUse.Last.Value.Bytes;
            }
        }
        return compiled;
    }

    sealed record Entry(GrammarSource Source, GrammarCompilation Compiled, long Bytes);
}
