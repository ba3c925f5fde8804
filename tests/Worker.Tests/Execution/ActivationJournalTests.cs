using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Execution;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Worker.Tests.Execution;

/// <summary>A stage of the layers 0 to 3 of 8, D = 4. Every row is its own number, which no other row has.</summary>
public sealed class ActivationJournalTests : IDisposable
{
    const int Hidden = 4;
    const int Blocks = 8;
    const int Layers = 8;

    static readonly StageShape Shape = new(FirstLayer: 0, LayerCount: 4, TotalLayers: Layers);

    readonly TempFolder _folder = new();
    readonly RowStage _stage = new();
    ActivationJournal _journal;

    public ActivationJournalTests() => _journal = Open();

    public void Dispose()
    {
        _journal.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Rows_come_back_in_the_next_view_that_goes_on()
    {
        _stage.Blocks[1] = [5, 2];
        Add(1, start: 0, count: 20);
        Add(1, start: 20, count: 12);
        NextView();
        Assert.Equal([2, 5], Whole());
        Assert.Equal([3, 4, 19, 20, 31], Read(new ReplayedChunk(3, 2, [5]), new ReplayedChunk(3, 2, [2]), new ReplayedChunk(15, 1, [2])));
        Assert.Equal(32, _journal.Positions);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void A_chunk_reads_over_the_ends_of_blocks()
    {
        _stage.Blocks[1] = [5, 2, 0];
        Add(1, start: 0, count: 48);
        NextView();
        Assert.Equal([.. Enumerable.Range(10, 30).Select(row => (float)row)], Read(new ReplayedChunk(10, 30, [5, 2, 0])));
    }

    /// <summary>Of drafts that were wrong, or of another sequence that has the block now, nothing is left.</summary>
    [Fact]
    public void What_is_written_over_is_not_whole_until_all_of_it_is()
    {
        _stage.Blocks[1] = [3];
        Add(1, start: 0, count: 16);
        Add(1, start: 10, count: 5);
        NextView();
        Assert.Empty(Whole());
        Add(1, start: 15, count: 1);
        NextView();
        Assert.Equal([3], Whole());
        Assert.Equal([9, 16, 20, 21], Read(new ReplayedChunk(9, 2, [3]), new ReplayedChunk(14, 2, [3])));
    }

    [Fact]
    public void Rows_behind_missing_ones_do_not_count()
    {
        _stage.Blocks[1] = [3];
        Add(1, start: 1, count: 15);
        _stage.Blocks[2] = [4];
        Add(2, start: 0, count: 16);
        _journal.Forget(4);
        NextView();
        Assert.Empty(Whole());
    }

    [Fact]
    public void A_copy_of_a_block_goes_on()
    {
        _stage.Blocks[1] = [3];
        _stage.Blocks[2] = [6];
        Add(1, start: 0, count: 10);
        Add(2, start: 8, count: 8, new BlockCopy(3, 6));
        NextView();
        Assert.Equal([6], Whole());
        Assert.Equal([7, 10], Read(new ReplayedChunk(7, 2, [6])));
    }

    [Fact]
    public void Only_chunks_that_go_on_count()
    {
        (_stage.Blocks[1], _stage.Blocks[2]) = ([3], [4]);
        _stage.Rows(32);
        _journal.Add(new Step([], [ChunkOf(1, 0, 16), ChunkOf(2, 0, 16) with { Depth = 4 }]), _stage);
        NextView();
        Assert.Equal([3], Whole());
    }

    [Theory]
    [InlineData(1, 9, 4)]   // nothing is known of the view that this journal was in
    [InlineData(7, 10, 4)]  // KV of a step that this journal had no part in
    [InlineData(7, 9, 3)]   // the stage ends elsewhere
    public void What_belongs_to_something_else_is_forgotten(ulong view, ulong lastStep, int endLayer)
    {
        _stage.Blocks[1] = [3];
        Add(1, start: 0, count: 16);
        _journal.End(view: 7, lastStep: 9);
        _journal.Begin(Shape with { LayerCount = endLayer }, Hidden, Blocks, 64, RanViews.None.Then(new RanView(view, lastStep), isUntouched: false));
        Assert.Empty(Whole());
    }

    [Fact]
    public void Blocks_that_the_stage_cannot_use_are_not_told_of()
    {
        _stage.Blocks[1] = [3, 4];
        Add(1, start: 0, count: 32);
        NextView();
        var from = new int[Blocks];
        from[3] = Shape.EndLayer;
        Assert.Equal([1 << 4], _journal.WholeOf(new KeptStates(0, Shape.EndLayer, from)));
    }

    [Fact]
    public void The_size_bounds_the_blocks()
    {
        _journal.Dispose();
        _journal = Open(bytes: 3 * KvBlock.Positions * Hidden * sizeof(float) + 1);
        _stage.Blocks[1] = [0, 2, 3];
        Add(1, start: 0, count: 48);
        NextView();
        Assert.Equal([0, 2], Whole());
    }

    /// <summary>More than may wait for storage: no step does.</summary>
    [Fact]
    public void Rows_that_would_have_to_wait_are_left_out()
    {
        _journal.Begin(Shape, Hidden, Blocks, maxStepRows: 4, before: null);
        _stage.Blocks[1] = [0, 1];
        Add(1, start: 0, count: 17);
        Assert.Equal(0, _journal.Positions);
        Add(1, start: 0, count: 16);
        NextView();
        Assert.Equal([0], Whole());
    }

    [Fact]
    public void Bytes_that_changed_in_the_file_are_not_used()
    {
        _stage.Blocks[1] = [3, 4];
        Add(1, start: 0, count: 32);
        NextView();
        Overwrite((4 * KvBlock.Positions + 5) * Hidden * sizeof(float));
        Assert.Equal([3], Read(new ReplayedChunk(3, 1, [3])));
        var problem = _journal.Read([new ReplayedChunk(0, 16, [4])], new float[16 * Hidden]);
        Assert.Equal("the activation journal cannot be used: block 4 reads back as other bytes than were written", problem);
        NextView();
        Assert.Empty(Whole());
    }

    [Fact]
    public void What_is_not_there_is_refused() =>
        Assert.Equal(
            "the activation journal cannot be used: block 9 is asked for, and is not there", _journal.Read([new ReplayedChunk(0, 1, [9])], new float[Hidden]));

    [Fact]
    public void A_folder_that_cannot_be_written_to_is_named()
    {
        var file = _folder.File("file");
        File.WriteAllText(file, "");
        using var journal = new ActivationJournal(OptionsOf(Path.Combine(file, "journal")), TimeProvider.System, NullLogger<ActivationJournal>.Instance);
        Assert.StartsWith($"--activation-journal: {file}/journal cannot be written to: ", Assert.Throws<IOException>(journal.Open).Message);
    }

    ActivationJournal Open(long? bytes = null)
    {
        var journal = new ActivationJournal(OptionsOf(_folder.Path) with { JournalBytes = bytes }, TimeProvider.System, NullLogger<ActivationJournal>.Instance);
        journal.Open();
        journal.Begin(Shape, Hidden, Blocks, maxStepRows: 64, before: null);
        return journal;
    }

    static WorkerOptions OptionsOf(string folder) => new() { Coordinator = new Uri("http://127.0.0.1:1"), JournalFolder = folder };

    static Chunk ChunkOf(ulong sequence, int start, int count) => new(sequence, start, count, default, default, 0);

    /// <summary>Its rows have the next numbers.</summary>
    void Add(ulong sequence, int start, int count, params BlockCopy[] copies)
    {
        _stage.Rows(count);
        _journal.Add(new Step([], [ChunkOf(sequence, start, count)]) { Copies = copies }, _stage);
    }

    /// <summary>The same stage goes on in another view.</summary>
    void NextView()
    {
        _journal.End(view: 7, lastStep: 9);
        _journal.Begin(Shape, Hidden, Blocks, maxStepRows: 64, RanViews.None.Then(new RanView(7, 9), isUntouched: false));
    }

    IEnumerable<int> Whole()
    {
        var whole = _journal.WholeOf(new KeptStates(0, Shape.EndLayer, new int[Blocks]));
        return Enumerable.Range(0, Blocks).Where(block => (whole[block / 8] & (1 << (block % 8))) > 0);
    }

    float[] Read(params ReplayedChunk[] chunks)
    {
        var rows = new float[chunks.Sum(chunk => chunk.Count) * Hidden];
        Assert.Null(_journal.Read(chunks, rows));
        return [.. rows.Chunk(Hidden).Select(row => Assert.Single(row.Distinct()))];
    }

    /// <summary>The file has no name, but the system knows what this process has open.</summary>
    void Overwrite(long offset)
    {
        var open = Directory.GetFiles("/proc/self/fd")
            .First(path => File.ResolveLinkTarget(path, false)?.FullName.StartsWith(_folder.Path, StringComparison.Ordinal) == true);
        using var file = File.OpenHandle(open, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        RandomAccess.Write(file, [0xAA], offset);
    }

    sealed class RowStage : IStage
    {
        float[] _rows = [];
        int _next;

        public Dictionary<ulong, int[]> Blocks { get; } = [];

        public StageShape Shape => ActivationJournalTests.Shape;

        public ReadOnlySpan<float> Output => _rows;

        public void Rows(int count)
        {
            _rows = [.. Enumerable.Range(_next, count).SelectMany(row => Enumerable.Repeat((float)row, Hidden))];
            _next += count;
        }

        public ReadOnlySpan<int> BlocksOf(ulong sequenceId) => Blocks[sequenceId];

        public Span<float> Input(int rows) => throw new NotSupportedException();

        public StepOutcome Run(Step step) => throw new NotSupportedException();

        public void End(ulong sequenceId)
        {
        }

        public void Dispose()
        {
        }
    }
}
