using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// Which rows of a step use which adapter, gathered by adapter; rows of sequences without one are in no group. Reused from step to step; allocates
/// nothing once it has seen as many adapters.
/// </summary>
sealed class AdapterRows(int maxRows)
{
    readonly int[] _groupOf = new int[maxRows];   // of each row, -1: none
    readonly int[] _rows = new int[maxRows];
    readonly List<ShardAdapter> _adapters = [];
    readonly List<int> _starts = [];
    int _count;

    /// <summary>Adapters that rows use.</summary>
    public int Count => _adapters.Count;

    public ShardAdapter this[int group] => _adapters[group];

    public void Clear()
    {
        _adapters.Clear();
        _count = 0;
    }

    /// <summary>The next rows.</summary>
    /// <param name="adapter">Null: none.</param>
    public void Add(ShardAdapter? adapter, int rows)
    {
        var group = adapter is null ? -1 : _adapters.IndexOf(adapter);
        if (adapter is not null && group < 0)
        {
            group = _adapters.Count;
            _adapters.Add(adapter);
        }
        _groupOf.AsSpan(_count, rows).Fill(group);
        _count += rows;
    }

    /// <summary>Gathers those of the rows added that are below <paramref name="rows"/>, in ascending order within each group.</summary>
    public void Gather(int rows)
    {
        _starts.Clear();
        var taken = 0;
        for (var group = 0; group < _adapters.Count; group++)
        {
            _starts.Add(taken);
            for (var row = 0; row < rows; row++)
                if (_groupOf[row] == group) _rows[taken++] = row;
        }
        _starts.Add(taken);
    }

    /// <summary>The rows of a group, and how many others come before them: each row has a slot of its own.</summary>
    public ReadOnlyMemory<int> RowsOf(int group, out int firstSlot)
    {
        firstSlot = _starts[group];
        return _rows.AsMemory(firstSlot, _starts[group + 1] - firstSlot);
    }
}
