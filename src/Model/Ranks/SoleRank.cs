namespace LlamaCluster.Model.Ranks;

/// <summary>The only rank of a stage that is not split: its part is the sum.</summary>
public sealed class SoleRank : IRankExchange
{
    byte[] _gathered = [];
    int _length;

    public int Rank => 0;

    public int RankCount => 1;

    public void BeginSum(ReadOnlySpan<float> own) { }

    public void CompleteSum(Span<float> own) { }

    public void AllGather(ReadOnlySpan<byte> own)
    {
        if (_gathered.Length < own.Length) _gathered = new byte[own.Length];
        own.CopyTo(_gathered);
        _length = own.Length;
    }

    public ReadOnlySpan<byte> Gathered(int rank) => _gathered.AsSpan(0, _length);
}
