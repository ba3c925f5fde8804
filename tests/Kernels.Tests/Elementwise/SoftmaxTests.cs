using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Tests.Elementwise;

public sealed class SoftmaxTests
{
    [Fact]
    public void Log_sum_of_exp_over_a_large_vocabulary_is_exact_to_six_digits()
    {
        var logits = TestNumbers.Even(128_256, 3, 12);
        var max = Softmax.MaxOfFinite(logits);
        var exact = max + Math.Log(logits.Sum(x => Math.Exp((double)x - max)));

        Assert.Equal(logits.Max(), max);
        Assert.Equal(exact, max + Math.Log(Softmax.SumOfExp(logits, max)), 1e-5);
    }

    [Fact]
    public void Exp_may_work_in_place()
    {
        var x = TestNumbers.Even(100, 4, 3);
        var y = new float[100];
        var sum = Softmax.Exp(x, 1, 2, y);

        Assert.Equal(sum, Softmax.Exp(x, 1, 2, x));
        Assert.Equal(y, x);
        Assert.Equal(y.Sum(), sum, 1e-3f);
    }

    [Fact]
    public void Nothing_has_no_maximum() => Assert.True(float.IsNaN(Softmax.MaxOfFinite([])));
}
