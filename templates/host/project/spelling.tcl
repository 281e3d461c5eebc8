# SPDX-License-Identifier: MIT-0
# Which spelling of the accelerator to build with, and where its packaged IP lies.

proc spelling {} {
  set found rtl
  if {[info exists ::env(CODESIGN_SPELLING)] && $::env(CODESIGN_SPELLING) ne ""} {
    set found $::env(CODESIGN_SPELLING)
  }
  if {$found ni {rtl hls}} {
    error "CODESIGN_SPELLING: expected rtl or hls, got '$found'"
  }
  return $found
}

# The folder that holds the component.xml of the spelling. Every tool version exports to a different place.
proc ip_folder {root} {
  if {[spelling] eq "rtl"} {
    set places {build/ip_rtl}
  } else {
    set places {build/hls/accel/solution1/impl/ip build/hls/accel/impl/ip build/hls/accel/hls/impl/ip build/hls/hls/impl/ip}
  }
  foreach place $places {
    if {[file exists [file join $root $place component.xml]]} {
      return [file join $root $place]
    }
  }
  error "no packaged IP of spelling [spelling] in: $places; run rtl/package_ip.tcl or the HLS export first"
}
