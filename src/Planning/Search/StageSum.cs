namespace LlamaCluster.Planning.Search;

/// <summary>
/// What stages take together, one after the other; of equal sums, the one whose stages are more equal is less. Times are whole
/// picoseconds, so that sums in another order are the same.
/// </summary>
/// <param name="Squares">Of the stages' times.</param>
readonly record struct StageSum(long Picoseconds, Int128 Squares) : IComparable<StageSum>
{
    public static StageSum Of(long picoseconds) => new(picoseconds, (Int128)picoseconds * picoseconds);

    public static StageSum Add(StageSum a, StageSum b) => new(a.Picoseconds + b.Picoseconds, a.Squares + b.Squares);

    public int CompareTo(StageSum other) => Picoseconds != other.Picoseconds ? Picoseconds.CompareTo(other.Picoseconds) : Squares.CompareTo(other.Squares);
}
