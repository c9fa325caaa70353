"""How big a run is: the same code with other numbers, all of them here."""

from dataclasses import dataclass

from helpers.errors import BadInput


@dataclass(frozen=True)
class Profile:
    """Sizes of one kind of run: image and k-space as (rows, columns), coils, and how much data a chapter looks at."""

    name: str
    image: tuple[int, int]
    kspace: tuple[int, int]
    coils: int
    volumes: int  # held-out volumes a chapter evaluates, per anatomy
    slices: int  # slices evaluated of each volume

    @property
    def entries(self) -> int:
        """Of the k-space of one slice, over all coils."""
        return self.coils * self.kspace[0] * self.kspace[1]


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("smoke", image=(64, 64), kspace=(128, 72), coils=4, volumes=2, slices=1),
        Profile("laptop", image=(160, 160), kspace=(320, 180), coils=8, volumes=6, slices=1),
        Profile("paper", image=(320, 320), kspace=(640, 368), coils=15, volumes=20, slices=2),
    )
}


def profile(name: str) -> Profile:
    """The profile of that name; BadInput names the ones that there are."""
    if name not in PROFILES:
        raise BadInput(f"there is no profile {name!r}; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]
