using System.Runtime.Intrinsics;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>
/// Finds the scale of a group of values that are to be stored as small integers, such that the sum of squared errors is least:
/// some scales near the one that just covers the values are tried; each gives integers, and these give the best scale (and offset)
/// in closed form. Sums run in one fixed order, so results do not depend on the machine.
/// </summary>
static class LeastSquares
{
    const int Tries = 21;
    const int Refinements = 3;

    /// <summary>value ~ scale q, q from -<paramref name="levels"/> to <paramref name="levels"/> - 1.</summary>
    /// <param name="values">A multiple of 8 values.</param>
    public static float FitScale(ReadOnlySpan<float> values, int levels)
    {
        var largest = BlockScale.FirstOfLargestMagnitude(values);
        if (BlockScale.Inverse(largest) == 0) return 0;
        var (best, bestGain) = (0f, 0.0);
        for (var i = 0; i < Tries; i++)
        {
            // The largest value may be clipped a little, or miss the end of the range by a little.
            var inverse = -(levels - 1 + 0.1f * i) / largest;
            var (squares, products) = (Vector256<float>.Zero, Vector256<float>.Zero);
            for (var at = 0; at < values.Length; at += Vector256<float>.Count)
            {
                var x = Vector256.Create(values[at..]);
                var q = Round(x * inverse, -levels, levels - 1);
                squares += q * q;
                products += q * x;
            }
            double qq = Sum(squares), qx = Sum(products);
            // The error is sum x^2 - qx^2 / qq.
            if (qq > 0 && qx * qx / qq > bestGain) (best, bestGain) = ((float)(qx / qq), qx * qx / qq);
        }
        return best;
    }

    /// <summary>value ~ scale q - offset, q from 0 to <paramref name="levels"/>, scale and offset from 0 on.</summary>
    /// <param name="values">A multiple of 8 values.</param>
    public static (float Scale, float Offset) FitScaleAndOffset(ReadOnlySpan<float> values, int levels)
    {
        var sums = Sums(values);
        var (least, most) = Range(values);
        least = Math.Min(least, 0);
        if (BlockScale.Inverse(most - least) == 0) return (0, -least);
        var best = Fit.None;
        for (var i = 0; i < Tries; i++)
        {
            var fit = Try(values, sums, least, (levels - 1 + 0.1f * i) / (most - least), levels);
            if (fit.Error < best.Error) best = fit;
        }
        // With the best scale and offset some values are nearer to another integer, and these give a better scale again.
        for (var i = 0; i < Refinements && best.Scale > 0; i++)
        {
            var fit = Try(values, sums, -best.Offset, 1 / best.Scale, levels);
            if (fit.Error >= best.Error) break;
            best = fit;
        }
        return (best.Scale, best.Offset);
    }

    static Fit Try(ReadOnlySpan<float> values, (double X, double XX) sums, float least, float inverse, int levels)
    {
        var (qSum, qqSum, qxSum) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (var at = 0; at < values.Length; at += Vector256<float>.Count)
        {
            var v = Vector256.Create(values[at..]);
            var level = Round((v - Vector256.Create(least)) * inverse, 0, levels);
            qSum += level;
            qqSum += level * level;
            qxSum += level * v;
        }
        double q = Sum(qSum), qq = Sum(qqSum), qx = Sum(qxSum);
        var (scale, offset) = Solve(q, qq, qx, sums.X, values.Length);
        var error = sums.XX + scale * (scale * qq - 2 * qx) + offset * (2 * sums.X - 2 * scale * q + values.Length * offset);
        return new Fit((float)scale, (float)offset, error);
    }

    // The normal equations of x ~ scale q - offset; where they ask for an offset below 0, it is 0.
    static (double Scale, double Offset) Solve(double q, double qq, double qx, double x, int count)
    {
        var determinant = count * qq - q * q;
        if (determinant > 0)
        {
            var scale = (count * qx - q * x) / determinant;
            var offset = (q * qx - qq * x) / determinant;
            if (offset >= 0 && scale >= 0) return (scale, offset);
        }
        return qq > 0 ? (Math.Max(0, qx / qq), 0) : (0, 0);
    }

    static (double X, double XX) Sums(ReadOnlySpan<float> values)
    {
        var (x, xx) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (var at = 0; at < values.Length; at += Vector256<float>.Count)
        {
            var v = Vector256.Create(values[at..]);
            x += v;
            xx += v * v;
        }
        return (Sum(x), Sum(xx));
    }

    static (float Least, float Most) Range(ReadOnlySpan<float> values)
    {
        var (least, most) = (values[0], values[0]);
        foreach (var value in values) (least, most) = (Math.Min(least, value), Math.Max(most, value));
        return (least, most);
    }

    static Vector256<float> Round(Vector256<float> values, float least, float most) =>
        Vector256.Clamp(Vector256.Round(values), Vector256.Create(least), Vector256.Create(most));

    // Written out: the order of Vector256.Sum is not promised.
    static double Sum(Vector256<float> values)
    {
        var half = values.GetLower() + values.GetUpper();
        return half[0] + half[1] + (half[2] + half[3]);
    }

    readonly record struct Fit(float Scale, float Offset, double Error)
    {
        public static Fit None => new(0, 0, double.PositiveInfinity);
    }
}
