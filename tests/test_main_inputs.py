"""`python -m vmapguide`: how types are written, and which numbers are put in their place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vmapguide._cli.inputs import UsageError, argument, filled


class TestFilled:
    """The numbers that `check` and `compare` put in the place of types."""

    @pytest.mark.parametrize(
        "text",
        ["f32[3,5]", "bf16[4]", "c64[2]", "float8_e4m3fn[3]", "i8[50]", "u4[50]", "bool[50]"],
    )
    def test_types(self, text: str) -> None:
        """They have the type; whole ones are small enough to be indices."""
        wanted = argument(text)
        found = filled(wanted, 0)
        assert (wanted.shape, wanted.dtype) == (found.shape, found.dtype)
        if jnp.issubdtype(wanted.dtype, jnp.integer):
            assert {*found.tolist()} == {0, 1, 2}

    def test_keys(self) -> None:
        """Keys are different ones, of any number, also none."""
        found = filled(argument("key[2,3]"), 0)
        assert found.shape == (2, 3)
        assert len({*map(bytes, np.asarray(jax.random.key_data(found)).reshape(6, -1))}) == 6
        assert filled(argument("key[]"), 0).shape == ()
        assert filled(argument("key[0]"), 0).shape == (0,)

    def test_values_stay(self) -> None:
        """Only types are filled, each with numbers of its own."""
        (one, three), text, other = filled(((argument("f32[3]"), 3), "x", argument("f32[3]")), 0)
        assert (three, text) == (3, "x")
        assert one.tolist() != other.tolist()

    def test_numbers_of_64_bits(self) -> None:
        """Where JAX has none, those of 32 stand for them, without a warning."""
        assert filled(argument("f64[2]"), 0).dtype == jnp.zeros(0).dtype
        assert filled(argument("i64[2]"), 0).dtype == jnp.arange(0).dtype


class TestArgument:
    """How types are written."""

    def test_types(self) -> None:
        """The short names are those of listings; the long ones are NumPy's."""
        for text, dtype in {
            "f32[3,5]": jnp.float32,
            "bf16[3,5]": jnp.bfloat16,
            "i8[3,5]": jnp.int8,
            "u32[3,5]": jnp.uint32,
            "c64[3,5]": jnp.complex64,
            "bool[3,5]": jnp.bool_,
            "float16[3,5]": jnp.float16,
            "float8_e4m3fn[3,5]": jnp.float8_e4m3fn,
        }.items():
            assert argument(text) == jax.ShapeDtypeStruct((3, 5), dtype)

    def test_scalars_and_containers(self) -> None:
        """A scalar has empty brackets; containers hold types and values."""
        scalar = jax.ShapeDtypeStruct((), jnp.int32)
        assert argument("i32[]") == scalar
        assert argument("[i32[], (1, -2.5), None]") == [scalar, (1, -2.5), None]

    def test_nothing_is_evaluated(self) -> None:
        """An argument is data: it cannot call anything."""
        with pytest.raises(UsageError, match="neither a type nor a value"):
            argument("__import__('os').system('true')")
