using LlamaCluster.Model.Config;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Inference;

/// <summary>Rows that become logits by the same head, and stand together.</summary>
/// <param name="Owner">The adapter that brings the head; null: it is the model's.</param>
/// <param name="FirstSlot">Of the rows.</param>
/// <param name="FirstLogit">Where the first row's logits stand; the others' follow.</param>
/// <param name="Size">V of all ranks.</param>
/// <param name="Own">The rank's ids.</param>
readonly record struct HeadGroup(ShardAdapter? Owner, int FirstSlot, int Count, long FirstLogit, int Size, IndexRange Own)
{
    public int Logits => checked(Count * Own.Count);
}

/// <summary>
/// Where the rows of a step that become logits stand: those of the model's head first, then those of each adapter that brings a head of its own, whose
/// vocabulary may be larger. Reused from step to step; allocates nothing once it has seen as many heads.
/// </summary>
sealed class HeadLayout(LlamaConfig config, StageSlice slice, int maxRows)
{
    readonly ShardAdapter?[] _adapters = new ShardAdapter?[maxRows];   // of each row
    readonly int[] _slots = new int[maxRows];
    readonly int[] _groupOf = new int[maxRows];
    readonly ShardAdapter?[] _bySlot = new ShardAdapter?[maxRows];
    readonly List<HeadGroup> _groups = [];
    int _count;

    public int Count => _count;

    public IReadOnlyList<HeadGroup> Groups => _groups;

    public void Clear() => _count = 0;

    /// <summary>The next row.</summary>
    /// <param name="adapter">Null: its sequence has none.</param>
    public void Add(ShardAdapter? adapter) => _adapters[_count++] = adapter;

    /// <summary>Places the rows that were added.</summary>
    public void Arrange()
    {
        _groups.Clear();
        var (taken, logits) = (0, 0L);
        Place(null);
        for (var row = 0; row < _count; row++)
            if (_adapters[row] is { OwnHead: not null } owner && !IsPlaced(owner)) Place(owner);

        void Place(ShardAdapter? owner)
        {
            var first = taken;
            for (var row = 0; row < _count; row++)
            {
                if (OwnerOf(_adapters[row]) != owner) continue;
                (_slots[row], _groupOf[row], _bySlot[taken]) = (taken, _groups.Count, _adapters[row]);
                taken++;
            }
            if (taken == first) return;
            var size = owner?.VocabularySize ?? config.VocabularySize;
            _groups.Add(new HeadGroup(owner, first, taken - first, logits, size, slice.VocabularyOf(config, size)));
            logits += _groups[^1].Logits;
        }
    }

    /// <summary>Where a row's hidden state is to stand.</summary>
    public int SlotOf(int row) => _slots[row];

    public HeadGroup GroupOf(int row) => _groups[_groupOf[row]];

    /// <summary>Where a row's logits begin.</summary>
    public long FirstLogitOf(int row)
    {
        var group = GroupOf(row);
        return group.FirstLogit + ((long)(_slots[row] - group.FirstSlot) * group.Own.Count);
    }

    /// <summary>The adapters of a group's rows.</summary>
    public ReadOnlySpan<ShardAdapter?> AdaptersOf(in HeadGroup group) => _bySlot.AsSpan(group.FirstSlot, group.Count);

    static ShardAdapter? OwnerOf(ShardAdapter? adapter) => adapter?.OwnHead is null ? null : adapter;

    bool IsPlaced(ShardAdapter owner)
    {
        foreach (var group in _groups)
            if (group.Owner == owner) return true;
        return false;
    }
}
