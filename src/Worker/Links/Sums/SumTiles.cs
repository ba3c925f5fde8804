namespace LlamaCluster.Worker.Links.Sums;

/// <summary>
/// Cuts [rows, width] values into tiles that fit into one message each, or, where every rank sums one part of it, one message a part:
/// some whole rows, or a band of columns of one row. Columns are cut at multiples of 32 from the row's start, so that q8 blocks never
/// depend on how many rows or ranks there are.
/// </summary>
readonly struct SumTiles
{
    /// <summary>Values of a message at most: 32 KiB of f32, an eighth of a link's window.</summary>
    public const int MessageValues = 8192;

    const int Block = 32;

    readonly int _rows;
    readonly int _width;
    readonly int _parts;
    readonly int _bandColumns;
    readonly int _bands;
    readonly int _rowsPerTile;

    /// <param name="parts">Of a tile's columns that travel separately; 1: a tile travels whole.</param>
    public SumTiles(int rows, int width, int parts)
    {
        (_rows, _width, _parts) = (rows, width, parts);
        _bandColumns = (int)Math.Min(width, (long)MessageValues * parts);
        _bands = (width + _bandColumns - 1) / _bandColumns;
        var largestPart = Math.Min(_bandColumns, (Blocks(_bandColumns) + parts - 1) / parts * Block);
        _rowsPerTile = Math.Min(rows, Math.Max(1, MessageValues / largestPart));
        Count = (rows + _rowsPerTile - 1) / _rowsPerTile * _bands;
    }

    public int Count { get; }

    public SumTile this[int index]
    {
        get
        {
            var (block, band) = Math.DivRem(index, _bands);
            var (row, column) = (block * _rowsPerTile, band * _bandColumns);
            return new SumTile(row, Math.Min(_rowsPerTile, _rows - row), column, Math.Min(_bandColumns, _width - column));
        }
    }

    /// <summary>The columns of a tile that one part has; none where there are fewer blocks than parts.</summary>
    public SumTile Part(SumTile tile, int part)
    {
        var blocks = Blocks(tile.Columns);
        var first = (int)((long)blocks * part / _parts) * Block;
        var end = Math.Min(tile.Columns, (int)((long)blocks * (part + 1) / _parts) * Block);
        return tile with { FirstColumn = tile.FirstColumn + first, Columns = end - first };
    }

    static int Blocks(int columns) => (columns + Block - 1) / Block;
}
